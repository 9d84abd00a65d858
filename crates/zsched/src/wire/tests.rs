use super::*;
use rustix::io::Errno;

fn status() -> Status {
    let mut status =
        Status { phase: Phase::Down, uniqid: 9 << 40, pid: 77, since: 5, ended: 6, ..Status::default() };
    status.end = Some(End::Killed(1));
    status.restarts = 3;
    status.adopted = Some(Adopted { at: 8, witness: Witness::Tracer, lost: Lost::OUTPUT });
    status.version = [1, 2, 3];
    status.daemon = Attendance::Left;
    status
}

#[test]
fn what_an_earlier_protocol_does_not_have_is_zero() {
    // 80 bytes is all that a status had in protocol 1.
    let packet = Reply::Done(status()).encode();
    let before_5 = Status { daemon: Attendance::Unknown, ..status() };
    assert_eq!(Reply::decode(&packet[..99]), Some(Reply::Done(before_5)));
    let expected = Status { adopted: None, version: [0; 3], ..before_5 };
    assert_eq!(Reply::decode(&packet[..80]), Some(Reply::Done(expected)));
    assert_eq!(Reply::decode(&packet[..79]), None);
}

#[test]
fn an_adoption_survives_the_wire() {
    for (phase, end) in [(Phase::Running, None), (Phase::Down, Some(End::Exited(3)))] {
        let adopt = Adopt {
            phase,
            uniqid: 1 << 60,
            pid: 77,
            since: 5,
            end,
            ended: 6,
            restarts: 9,
            lost: Lost::TERMINAL | Lost::OUTPUT,
            owed: true,
            kept: 1,
        };
        let message = adopt.encode();
        assert_eq!(Op::of(&message), Some(Op::Adopt));
        assert_eq!(Adopt::decode(&message[Header::SIZE..]), Some(adopt));
        for cut in Header::SIZE..message.len() - 4 {
            assert_eq!(Adopt::decode(&message[Header::SIZE..cut]), None);
        }
        let earlier = Adopt::decode(&message[Header::SIZE..message.len() - 4]);
        assert_eq!(earlier, Some(Adopt { kept: 0, ..adopt }), "a program of protocol 2 sends no more");
    }
}

#[test]
fn replies_survive_the_wire() {
    let failure = Failure::nth(Stage::Attach, 4, Errno::INVAL);
    for reply in [Reply::Done(status()), Reply::Ended(status()), Reply::Failed(failure)] {
        assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        assert_eq!(Reply::decode(&reply.encode()[..12]), None);
    }
    for stage in Stage::ALL {
        let reply = Reply::Failed(Failure::new(stage, Errno::PERM));
        assert_eq!(Reply::decode(&reply.encode()), Some(reply), "{}", stage.text());
    }
    for number in [0, -1, 4096, i32::MIN] {
        let mut packet = Reply::Failed(failure).encode();
        packet[12..16].copy_from_slice(&i32::to_le_bytes(number));
        assert_eq!(Reply::decode(&packet), None, "no error has the number {number}");
    }
}

#[test]
fn every_packet_names_its_protocol() {
    for reply in [Reply::Done(status()), Reply::Failed(Failure::new(Stage::Busy, Errno::BUSY))] {
        let header = Header::of(&reply.encode()).unwrap();
        assert_eq!((header.protocol, header.peer), (PROTOCOL, OLDEST));
    }
    for op in Op::ALL {
        let header = Header::of(&op.header()).unwrap();
        assert_eq!((Op::of(&op.header()), header.peer), (Some(op), PROTOCOL));
        assert!((OLDEST..=PROTOCOL).contains(&header.protocol), "{op:?}");
    }
    assert_eq!(Header::of(&[1, 0, 1]), None);
}

#[test]
fn what_a_later_protocol_adds_is_passed_over() {
    let mut later = Reply::Done(status()).encode().to_vec();
    later[2] = 200;
    later.resize(PACKET, 0xee);
    assert_eq!(Reply::decode(&later), Some(Reply::Done(status())));
    let mut refusal = Reply::Failed(Failure::nth(Stage::Busy, 7, Errno::BUSY)).encode();
    refusal[4..8].copy_from_slice(&9_999_u32.to_le_bytes());
    let known = Failure { stage: Stage::Other, index: 7, errno: Errno::BUSY };
    assert_eq!(Reply::decode(&refusal), Some(Reply::Failed(known)), "a stage of a later protocol");
}

#[test]
fn a_create_survives_the_wire_and_is_refused_when_cut() {
    let targets = Strings::join(["/dev", "/run"]);
    let create = Create {
        restarts: 7,
        bounding: 1 << 21,
        hostname: b"web",
        targets: Strings(&targets),
        masked: Strings(b"/proc/kcore\0"),
        readonly: Strings(b""),
        seccomp: &[1; 16],
        namespaces: Origins::default(),
        kept: 0,
    };
    let message = create.encode();
    assert_eq!(Op::of(&message), Some(Op::Create));
    let back = Create::decode(&message[Header::SIZE..]).unwrap();
    assert_eq!(back.targets.iter().collect::<Vec<_>>(), [c"/dev", c"/run"]);
    assert_eq!((back.hostname, back.seccomp.len(), back.bounding), (&b"web"[..], 16, 1 << 21));
    for cut in Header::SIZE..message.len() {
        assert!(Create::decode(&message[Header::SIZE..cut]).is_none());
    }
    assert_eq!(Op::of(&[99, 0, 0, 0]), None);
    assert_eq!(Op::of(&[1]), None);
}

#[test]
fn a_create_that_asks_for_other_namespaces_needs_a_zsched_that_knows_of_them() {
    let usual = Create::default();
    let message = usual.encode();
    assert_eq!(Header::of(&message).unwrap().protocol, 1, "nothing in it is new");
    for net in [Origin::New, Origin::Given, Origin::None] {
        for (time, uts) in
            [(Origin::New, Origin::None), (Origin::Given, Origin::New), (Origin::None, Origin::Given)]
        {
            let namespaces = Origins { net, ipc: net, time, uts };
            let message = Create { namespaces, ..usual }.encode();
            assert_eq!((Op::of(&message), Header::of(&message).unwrap().protocol), (Some(Op::Create), 3));
            assert_eq!(Create::decode(&message[Header::SIZE..]).unwrap().namespaces, namespaces);
        }
    }
    let keeps = Create { kept: 5, ..usual }.encode();
    assert_eq!(Header::of(&keeps).unwrap().protocol, 3);
    assert_eq!(Create::decode(&keeps[Header::SIZE..]).unwrap().kept, 5);
    let keeps = Create { kept: 200, ..usual }.encode();
    assert!(Create::decode(&keeps[Header::SIZE..]).is_none(), "more than zsched has room for");
    let mut unknown =
        Create { namespaces: Origins { net: Origin::None, ..Origins::default() }, ..usual }.encode();
    *unknown.last_mut().unwrap() = 9;
    assert!(Create::decode(&unknown[Header::SIZE..]).is_none());
}
