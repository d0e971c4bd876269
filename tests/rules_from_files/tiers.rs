//! Tiers of clients, from the file and from the program.

use http::Request;
use tidegate::ManualClock;
use tidegate::layer::RequestHead;

use super::{Server, builder, from, of, parse};

const TEXT: &str = "
    keys.account = { header = 'x-account' }
    keys.client = { peer = true }
    tiers = [
        { name = 'pro', key = 'account', values = ['pro-1', 'pro-2'] },
        { name = 'office', key = 'client', values = ['192.0.2.0/24', '2001:db8:1::/48'] },
    ]
    limits = [
        { name = 'pro', rate = '20/h', key = 'account', tiers = ['pro'] },
        { name = 'office', rate = '10/h', tiers = ['office'] },
        { name = 'others', rate = '5/h', tiers = ['none'] },
    ]";

#[test]
fn tiers_of_the_file() {
    let server = Server::new(TEXT);
    assert_eq!(server.admitted(50, || of("pro-1")), 20);
    assert_eq!(server.admitted(50, || of(" pro-2 ")), 20);
    assert_eq!(server.admitted(50, || of("pro-3")), 5);
    assert_eq!(server.admitted(50, || from("192.0.2.7")), 10);
    assert_eq!(server.admitted(50, || from("2001:db8:1::1")), 0);
    assert_eq!(server.admitted(50, || from("203.0.113.7")), 0);
    // The first tier that fits.
    let both = || from("192.0.2.7").header("x-account", "pro-1");
    assert_eq!(server.admitted(1, both), 0);
}

#[test]
fn tiers_of_the_program_come_first() {
    #[derive(Clone)]
    struct Plan(String);

    fn plan<'a>(request: &RequestHead<'a>) -> Option<&'a str> {
        Some(&request.extension::<Plan>()?.0)
    }

    let clock = ManualClock::new();
    let text = format!(
        "{}, {{ name = 'gold', rate = '30/h', tiers = ['gold'] }}]",
        {
            let end = TEXT.rfind(',').unwrap();
            &TEXT[..end]
        }
    );
    let rules = builder(&clock).tiers(["gold"], plan).build(&parse(&text));
    let server = Server::with(clock, rules.unwrap());
    let with = |plan: &str, account: &str| {
        let plan = Plan(plan.to_owned());
        Request::get("/")
            .extension(plan)
            .header("x-account", account)
    };
    assert_eq!(server.admitted(50, || with("gold", "pro-1")), 30);
    assert_eq!(server.admitted(50, || with("unheard of", "pro-1")), 20);
    assert_eq!(server.admitted(50, || with("unheard of", "other")), 5);
}

#[test]
fn secrets_are_not_shown() {
    let config = parse(TEXT);
    let shown = format!("{config:?} {:?}", Server::new(TEXT).rules);
    assert!(!shown.contains("pro-1"), "{shown}");
}
