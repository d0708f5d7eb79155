//! The contract of the bus port, run over every adapter. Refuses to know how an adapter works; what only Redis can do
//! to a gateway is in `bus_faults.rs`.

use std::sync::Arc;

use bytes::Bytes;
use hobnob::bus::{Bus, Channel, Doubt, LocalBus, LocalBusHub, RedisBus, Signal};
use hobnob::domain::{Clock, Entropy, GatewayId, RoomId, SystemClock, UserId};
use hobnob::redis::{RedisConfig, Seal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::fold::DEADLINE;
use crate::support::servers::shared_redis;
use crate::support::until;

/// Makes connected buses that hear each other, and nobody else's.
trait Rig: Sized {
    fn new() -> Self;
    fn bus(&self, gateway: GatewayId) -> Arc<dyn Bus>;
}

struct Local(LocalBusHub);

impl Rig for Local {
    fn new() -> Self {
        Self(LocalBus::hub())
    }

    fn bus(&self, gateway: GatewayId) -> Arc<dyn Bus> {
        Arc::new(self.0.connect(gateway))
    }
}

struct Redis(RedisConfig);

impl Rig for Redis {
    fn new() -> Self {
        let prefix = format!("bus-{:x}:", Entropy::from_os().next_u64());
        let config = RedisConfig::parse(&shared_redis().url()).unwrap();
        Self(config.with_prefix(&prefix).unwrap())
    }

    fn bus(&self, gateway: GatewayId) -> Arc<dyn Bus> {
        let bus = RedisBus::new(
            self.0.clone(),
            seal(),
            gateway,
            Arc::new(Entropy::from_os()),
        );
        bus.start();
        Arc::new(bus)
    }
}

/// A gateway on the bus, and what it hears.
pub(crate) struct Gateway {
    pub(crate) bus: Arc<dyn Bus>,
    signals: mpsc::Receiver<Signal>,
}

impl Gateway {
    /// Waits until the bus is healthy.
    pub(crate) async fn on(bus: Arc<dyn Bus>) -> Self {
        let signals = bus.signals().expect("the first call gets them");
        let gateway = Self { bus, signals };
        gateway.healthy().await;
        gateway
    }

    pub(crate) async fn healthy(&self) {
        until("the bus is healthy", async || self.bus.health()).await;
    }

    /// Waits until it knows that it may not hear.
    pub(crate) async fn deaf(&self) {
        until("the bus is not healthy", async || {
            self.bus.health().is_err()
        })
        .await;
    }

    pub(crate) async fn hear(&self, channels: &[Channel]) {
        self.bus.subscribe(channels).await.expect("confirmed");
    }

    pub(crate) fn say(&self, channel: Channel, text: impl Into<Bytes>) {
        self.bus.publish(channel, 1, text.into());
    }

    pub(crate) async fn next(&mut self) -> Signal {
        let next = timeout(DEADLINE, self.signals.recv()).await;
        next.expect("a signal in time").expect("an open bus")
    }

    /// The next payload; doubts in between are passed over.
    pub(crate) async fn payload(&mut self) -> (Channel, Bytes) {
        loop {
            if let Signal::Payload { channel, payload } = self.next().await {
                return (channel, payload);
            }
        }
    }

    /// Reads until this signal.
    pub(crate) async fn until(&mut self, wanted: &Signal) {
        while self.next().await != *wanted {}
    }

    /// Reads until what it published may have been lost.
    pub(crate) async fn until_publish_doubt(&mut self) {
        while !matches!(self.next().await, Signal::PublishDoubt(_)) {}
    }

    pub(crate) fn queued(&self) -> usize {
        self.signals.len()
    }
}

/// What the gateways of one deployment share.
pub(crate) fn seal() -> Arc<Seal> {
    sealed_by(Arc::new(SystemClock))
}

/// The same, with a clock of its own.
pub(crate) fn sealed_by(clock: Arc<dyn Clock>) -> Arc<Seal> {
    let secret: &[u8] = b"the secret of the contract's tests";
    Arc::new(Seal::new(&[secret], "log", clock))
}

pub(crate) fn gateway_id(number: u64) -> GatewayId {
    GatewayId::from_u64(number)
}

pub(crate) fn user(byte: u8) -> Channel {
    Channel::User(UserId::from_bytes([byte; 12]))
}

pub(crate) fn room(byte: u8) -> Channel {
    Channel::Room(RoomId::from_bytes([byte; 12]))
}

async fn two<R: Rig>() -> (R, Gateway, Gateway) {
    let rig = R::new();
    let one = Gateway::on(rig.bus(gateway_id(1))).await;
    let other = Gateway::on(rig.bus(gateway_id(2))).await;
    (rig, one, other)
}

async fn subscribers_hear_what_is_published_and_nobody_else_does<R: Rig>() {
    let (_rig, mut one, mut other) = two::<R>().await;
    one.hear(&[room(1)]).await;
    other.hear(&[room(1), room(2)]).await;
    one.say(room(2), "for the other");
    one.say(room(1), "for both");
    assert_eq!(one.payload().await, (room(1), "for both".into()));
    assert_eq!(other.payload().await, (room(2), "for the other".into()));
    assert_eq!(other.payload().await, (room(1), "for both".into()));
}

async fn kinds_of_channels_with_one_id_are_different_channels<R: Rig>() {
    let (_rig, one, mut other) = two::<R>().await;
    let id = UserId::from_bytes([7; 12]);
    let channels = [
        Channel::User(id),
        Channel::Watch(id),
        Channel::Room(RoomId::from_bytes([7; 12])),
        Channel::Gateway(gateway_id(2)),
    ];
    other.hear(&channels).await;
    for channel in channels {
        one.say(channel, format!("{channel:?}"));
    }
    for channel in channels {
        let expected = Bytes::from(format!("{channel:?}"));
        assert_eq!(other.payload().await, (channel, expected));
    }
}

async fn any_bytes_arrive_as_they_were<R: Rig>() {
    let (_rig, one, mut other) = two::<R>().await;
    other.hear(&[user(1)]).await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for payload in [Vec::new(), b"+OK\r\n$-1\r\n".to_vec(), every_byte] {
        one.say(user(1), payload.clone());
        assert_eq!(other.payload().await, (user(1), payload.into()));
    }
}

async fn a_lane_keeps_its_order_for_everybody<R: Rig>() {
    const COUNT: u32 = 5_000;
    let (_rig, mut one, mut other) = two::<R>().await;
    for gateway in [&one, &other] {
        gateway.hear(&[user(1), user(2)]).await;
    }
    for number in 0..COUNT {
        let channel = user(1 + (number % 2) as u8);
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        one.bus.publish(channel, 42, payload);
    }
    for gateway in [&mut one, &mut other] {
        for number in 0..COUNT {
            assert_eq!(gateway.payload().await.1[..], number.to_be_bytes());
        }
    }
}

async fn a_confirmed_subscription_misses_nothing<R: Rig>() {
    let (_rig, mut one, other) = two::<R>().await;
    for byte in 0..200 {
        one.hear(&[user(byte)]).await;
        other.say(user(byte), vec![byte]);
    }
    let mut heard = Vec::new();
    for _ in 0..200 {
        heard.push(one.payload().await.1[0]);
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..200).collect::<Vec<u8>>());
}

async fn many_subscriptions_at_once_are_all_confirmed<R: Rig>() {
    let (_rig, mut one, other) = two::<R>().await;
    let bytes: Vec<u8> = (0..200).collect();
    let calls = bytes.iter().map(|byte| {
        let bus = Arc::clone(&one.bus);
        let channels = [user(*byte), room(*byte), user(0)];
        async move { bus.subscribe(&channels).await }
    });
    for done in futures_util::future::join_all(calls).await {
        done.unwrap();
    }
    for byte in &bytes {
        other.say(room(*byte), vec![*byte]);
    }
    for byte in &bytes {
        assert_eq!(one.payload().await.1[0], *byte);
    }
}

async fn a_channel_subscribed_twice_is_heard_once_and_left_once<R: Rig>() {
    let (_rig, mut one, other) = two::<R>().await;
    one.hear(&[user(1)]).await;
    one.hear(&[user(1), user(2)]).await;
    other.say(user(1), "once");
    other.say(user(2), "marker");
    assert_eq!(one.payload().await.1, "once");
    assert_eq!(one.payload().await.1, "marker");
}

async fn an_ended_subscription_can_begin_again<R: Rig>() {
    let (_rig, mut one, other) = two::<R>().await;
    one.hear(&[user(1), user(2)]).await;
    one.bus.unsubscribe(&[user(1)]);
    // It ends soon, not at once: publish both until only the marker comes.
    until("it ends", async || {
        other.say(user(1), "unwanted");
        other.say(user(2), "marker");
        one.payload().await.1 == "marker"
    })
    .await;
    while one.queued() > 0 {
        one.next().await;
    }
    one.hear(&[user(1)]).await;
    other.say(user(1), "wanted again");
    loop {
        let (channel, payload) = one.payload().await;
        if channel == user(1) && payload == "wanted again" {
            return;
        }
    }
}

async fn a_slow_receiver_is_told_of_its_losses_and_hears_again<R: Rig>() {
    const BURST: usize = 50_000;
    let (_rig, mut one, mut other) = two::<R>().await;
    one.hear(&[user(1)]).await;
    other.hear(&[user(2)]).await;
    for number in 0..BURST {
        other.say(user(1), number.to_string());
        if number % 1_000 == 999 {
            // The publisher's own queue must not be what overflows.
            other.say(user(2), "so far");
            assert_eq!(other.payload().await.1, "so far");
        }
    }
    let mut heard = 0;
    loop {
        match one.next().await {
            Signal::Payload { .. } => heard += 1,
            Signal::Gap(doubt) => {
                assert_eq!(doubt, Doubt::Lagged);
                break;
            }
            Signal::PublishDoubt(_) => panic!("it has published nothing"),
        }
    }
    assert!(heard < BURST, "a bounded queue cannot hold them all");
    other.say(user(1), "live again");
    while one.payload().await.1 != "live again" {}
}

async fn signals_are_given_once<R: Rig>() {
    let rig = R::new();
    let bus = rig.bus(gateway_id(1));
    assert!(bus.signals().is_some());
    assert!(bus.signals().is_none());
}

async fn closing_publishes_what_is_queued_and_ends_the_bus<R: Rig>() {
    const COUNT: usize = 2_000;
    let (_rig, one, mut other) = two::<R>().await;
    other.hear(&[user(1)]).await;
    for number in 0..COUNT {
        one.say(user(1), number.to_string());
    }
    one.bus.close().await;
    assert!(one.bus.health().is_err());
    assert!(one.bus.subscribe(&[user(9)]).await.is_err());
    for number in 0..COUNT {
        assert_eq!(other.payload().await.1, number.to_string());
    }
}

over_every_adapter!(
    subscribers_hear_what_is_published_and_nobody_else_does,
    kinds_of_channels_with_one_id_are_different_channels,
    any_bytes_arrive_as_they_were,
    a_lane_keeps_its_order_for_everybody,
    a_confirmed_subscription_misses_nothing,
    many_subscriptions_at_once_are_all_confirmed,
    a_channel_subscribed_twice_is_heard_once_and_left_once,
    an_ended_subscription_can_begin_again,
    a_slow_receiver_is_told_of_its_losses_and_hears_again,
    signals_are_given_once,
    closing_publishes_what_is_queued_and_ends_the_bus,
);
