use super::*;
use crate::lab::Netns;
use rustix::io::Errno;

const TABLE: &str = "zones-test";

fn hook(point: HookPoint) -> Hook<'static> {
    Hook { kind: ChainType::Filter, point, priority: 0, device: None }
}

#[test]
fn all_that_is_used_is_in_this_kernel_and_looking_leaves_nothing() {
    zone_testing::needs_root!();
    let netns = Netns::new();
    netns.run(|| supported().unwrap());
    assert_eq!(netns.sh("nft list ruleset"), "");
}

#[test]
fn a_refusal_names_the_message_and_nothing_is_changed() {
    zone_testing::needs_root!();
    let netns = Netns::new();
    let error = netns.run(|| {
        let mut transaction = Transaction::new();
        transaction.replace_table(Family::Inet, TABLE);
        transaction.chain(Family::Inet, TABLE, "forward", Some(&hook(HookPoint::Forward)));
        transaction.rule(Family::Inet, TABLE, "forward", Rule::new().accept().comment("good"));
        transaction.rule(Family::Inet, TABLE, "forward", Rule::new().jump("nowhere").comment("bad"));
        transaction.rule(Family::Inet, TABLE, "forward", Rule::new().jump("nowhere").comment("bad too"));
        transaction.commit().unwrap_err()
    });
    assert_eq!(error.errno(), Some(Errno::NOENT));
    let said = error.to_string();
    let wanted = "the kernel refused rule \"bad\" in chain forward of table inet zones-test";
    assert!(said.starts_with(wanted), "{said}");
    assert_eq!(netns.sh("nft list ruleset"), "");
    let said = netns.run(|| {
        let mut transaction = Transaction::new();
        transaction.delete_table(Family::Ip6, "none");
        transaction.commit().unwrap_err().to_string()
    });
    assert!(said.contains("table ip6 none"), "{said}");
}

#[test]
fn a_large_set_goes_through_and_the_table_is_replaced_and_removed_as_often_as_one_likes() {
    zone_testing::needs_root!();
    let netns = Netns::new();
    let write = |first: u16, last: u16| {
        let port = |number: u16| number.to_be_bytes().to_vec();
        let pairs = (first..=last).map(|number| (port(number), port(number.wrapping_add(1)))).collect();
        let mut transaction = Transaction::new();
        transaction.replace_table(Family::Inet, TABLE);
        transaction.set(Family::Inet, TABLE, "ports", &Set::Map(SetType::Port, SetType::Port, pairs));
        transaction.commit().unwrap();
    };
    netns.run(|| {
        write(1, u16::MAX - 1);
        write(5, 6);
        write(5, 6);
    });
    let listed = netns.sh("nft list ruleset");
    assert!(listed.contains("type inet_service : inet_service"), "{listed}");
    assert!(listed.contains("elements = { 5 : 6, 6 : 7 }"), "{listed}");
    netns.run(|| {
        remove(&Family::ALL, "zones").unwrap();
        assert_eq!(tables().unwrap(), [FoundTable { family: Family::Inet, name: TABLE.to_owned() }]);
        remove(&Family::ALL, TABLE).unwrap();
        remove(&Family::ALL, TABLE).unwrap();
        assert_eq!(tables().unwrap(), []);
    });
}

#[test]
fn others_chains_and_rules_are_found() {
    zone_testing::needs_root!();
    let netns = Netns::new();
    netns.all(&[
        "nft add table ip filter",
        "nft add chain ip filter FORWARD { type filter hook forward priority 10 ; policy drop ; }",
        "nft add chain ip filter DOCKER-USER",
        "nft add rule ip filter DOCKER-USER iifname zones0 accept",
        "nft add table bridge frames",
        "nft add chain bridge frames forward { type filter hook forward priority -200 ; }",
    ]);
    let (chains, rules) = netns.run(|| {
        let chains = [Family::Ip, Family::Bridge, Family::Netdev].map(|family| chains(family).unwrap());
        (chains.concat(), rules(Family::Ip, "filter").unwrap())
    });
    let names: Vec<&str> = chains.iter().map(|chain| &*chain.name).collect();
    assert_eq!(names, ["FORWARD", "DOCKER-USER", "forward"]);
    assert_eq!([chains[0].hook, chains[1].hook, chains[2].hook], [Some((2, 10)), None, Some((2, -200))]);
    assert_eq!([chains[0].drops, chains[1].drops, chains[2].drops], [true, false, false]);
    assert!(chains[0].forwards() && !chains[1].forwards() && chains[2].forwards());
    assert_eq!(rules.len(), 1);
    assert_eq!((&*rules[0].table, &*rules[0].chain), ("filter", "DOCKER-USER"));
    assert!(rules[0].names("zones0") && !rules[0].names("zones") && !rules[0].names("ones0"));
}
