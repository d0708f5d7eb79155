//! Work for a session that fails, or is given up: the session ends, nothing of it stays, and others go on.

use super::*;
use crate::fanout::joining::Joined;
use crate::transport::outbox::Reason;

/// Whoever is given something by it fails.
static FAULTY: Encoding = Encoding {
    protocol: Protocol::WebSocket,
    encode: |_, _| panic!("on purpose"),
};

impl Scene {
    async fn joining_with(&self, user: UserId, encoding: &'static Encoding) -> (Opened, Joined) {
        let session = self.hub.open(NewSession {
            id: SessionId::generate(&self.entropy),
            user,
            expires_at: Timestamp::from_millis(i64::MAX),
            encoding,
            outbox: Outbox::new(1 << 20),
            is_auto: true,
            seat: self.hub.seats().take(user, None).unwrap(),
        });
        let joined = self.hub.join(&session, Since::new(), None).await.unwrap();
        (session, joined)
    }

    /// Conversations that sessions are in, or on their way to.
    fn in_use(&self) -> Vec<ConversationId> {
        self.hub.parts.topics.in_use()
    }
}

async fn until(condition: impl Fn() -> bool) {
    let fulfilled = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, fulfilled).await.unwrap();
}

#[tokio::test]
async fn a_panic_while_a_session_catches_up_ends_that_session_and_only_that() {
    let scene = Scene::new().await;
    let user = scene.user();
    let room = scene.room(user, &Past::of(3)).await;
    let (faulty, joined) = scene.joining_with(user, &FAULTY).await;
    scene.hub.deliver(&faulty, joined.backlog);
    until(|| faulty.is_closed()).await;
    assert_eq!(faulty.reason(), Some(Reason::ServerClosed));
    until(|| scene.in_use().is_empty()).await;

    let mut other = scene.joined(user, 1 << 20).await;
    other.catch_up().await;
    drop(faulty);
    assert_eq!(other.got(room), scene.log_of(user, room).await);
    assert_eq!(scene.in_use(), [room]);
    assert_eq!(scene.hub.session_count(), 1);
    assert!(!other.session.is_closed());
    drop(other);
    assert_eq!((scene.in_use(), scene.hub.session_count()), (vec![], 0));
}

#[tokio::test]
async fn a_backlog_that_is_never_delivered_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let user = scene.user();
    let room = scene.room(user, &Past::of(3)).await;
    let (session, joined) = scene.joining_with(user, &ENCODING).await;
    assert_eq!(scene.in_use(), [room]);
    drop(joined);
    assert!(scene.in_use().is_empty());
    assert!(session.conversations().is_empty());
    assert!(!session.is_closed());
}

#[tokio::test]
async fn a_panic_where_a_request_is_answered_ends_the_session_that_asked() {
    let scene = Scene::new().await;
    let user = scene.user();
    let asking = scene.joined(user, 1 << 20).await;
    let other = scene.joined(user, 1 << 20).await;
    let unanswered = asking.session.take_request();
    let answering = tokio::spawn(async move {
        let _unanswered = unanswered;
        panic!("on purpose");
    });
    assert!(answering.await.unwrap_err().is_panic());
    assert_eq!(asking.session.reason(), Some(Reason::ServerClosed));
    assert!(asking.session.is_idle());
    assert!(!other.session.is_closed());
}
