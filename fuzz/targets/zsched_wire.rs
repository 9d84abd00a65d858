//! What zsched and the daemon tell each other: the daemon may be confused, and runs as root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zsched::wire::{Adopt, Create, Header, Op, Reply, Strings};

fuzz_target!(|bytes: &[u8]| {
    let _ = Op::of(bytes);
    if let Some(header) = Header::of(bytes) {
        assert_eq!(bytes[..Header::SIZE], header.encode());
    }
    if let Some(reply) = Reply::decode(bytes) {
        let packet = reply.encode();
        assert_eq!(Reply::decode(&packet), Some(reply));
        // A later protocol only adds.
        let later: Vec<u8> = bytes.iter().copied().chain([0xee; 64]).collect();
        assert!(bytes.len() < zsched::wire::REPLY || Reply::decode(&later) == Some(reply));
    }
    if let Some(adopt) = Adopt::decode(bytes) {
        let message = adopt.encode();
        assert!(matches!(Op::of(&message), Some(Op::Adopt)));
        assert_eq!(Adopt::decode(&message[Header::SIZE..]), Some(adopt));
    }
    if let Some(create) = Create::decode(bytes) {
        for strings in [create.targets, create.masked, create.readonly] {
            let texts: Vec<&str> = strings.iter().filter_map(|text| text.to_str().ok()).collect();
            let joined = Strings::join(&texts);
            assert!(Strings(&joined).iter().filter_map(|text| text.to_str().ok()).eq(texts));
        }
        let message = create.encode();
        assert!(matches!(Op::of(&message), Some(Op::Create)));
        let again = Create::decode(&message[Header::SIZE..]).expect("what was written can be read");
        assert_eq!((again.restarts, again.namespaces), (create.restarts, create.namespaces));
        assert_eq!(
            (again.bounding, again.hostname, again.seccomp),
            (create.bounding, create.hostname, create.seccomp)
        );
        assert_eq!(
            [again.targets.0, again.masked.0, again.readonly.0],
            [create.targets.0, create.masked.0, create.readonly.0]
        );
    }
});
