//! Many messages by one sender in a short time, before what is measured. Knows not whom they wait for.

use super::scene::{Scene, open};
use crate::Invalid;
use crate::accounts::User;
use crate::client::{Incoming, Protocol, Target};

/// Sends without an answer at once.
const WINDOW: usize = 64;

/// Sends all of them in this order.
///
/// # Errors
/// When the connection ends or one is refused.
pub(super) async fn feed(
    scene: Scene<'_>,
    sender: &User,
    messages: impl IntoIterator<Item = (Target, String)>,
) -> Result<(), Invalid> {
    let gone = |_| Invalid("the sender's connection ended".to_owned());
    let protocol = Protocol::SocketIo;
    let opened = open(&scene.dial(0), protocol, sender, |_| {}).await;
    let mut connection = opened.map_err(|error| Invalid(format!("the sender: {error:?}")))?;
    let (mut messages, mut id) = (messages.into_iter(), 0);
    let (mut unanswered, mut refused) = (0, 0);
    loop {
        let next = if unanswered < WINDOW {
            messages.next()
        } else {
            None
        };
        if let Some((to, content)) = next {
            id += 1;
            unanswered += 1;
            let own_id = format!("feed-{id}");
            let request = protocol.send(id, &to, &content, &own_id);
            connection.write(request).await.map_err(gone)?;
            continue;
        }
        if unanswered == 0 {
            break;
        }
        let mut answer = |incoming: &Incoming<'_>, _: &str| {
            if let Incoming::Answer { outcome, .. } = incoming {
                unanswered -= 1;
                refused += usize::from(outcome.is_err());
            }
        };
        connection.hear(&mut answer).await.map_err(gone)?;
    }
    connection.close().await;
    match refused {
        0 => Ok(()),
        _ => Err(Invalid(format!("{refused} messages were refused"))),
    }
}
