//! Reads what is true in the end of a mixed load: every log, as a device is told it that begins with nothing, and what
//! REST shows. Knows the public interfaces only; judges nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::timeout;

use crate::Invalid;
use crate::accounts::{Head, Membership, RoomName, StoredMessage, User};
use crate::client::{Common, Connection, Dial, Incoming, Joining, Mixed, Protocol, Shared};
use crate::fold::{Effect, Folded, Saying};
use crate::ledger::{Conversation, Logged, Truth};

/// How long one device may take to be told its logs.
const READING: Duration = Duration::from_secs(60);
/// How many conversations a user may have here: a page.
const PAGE: usize = 200;

/// One for each conversation of a mixed load; none of others.
pub(super) async fn read(
    shared: &Shared,
    conversations: &[Conversation],
    users: &mut [User],
    histories: &[Vec<StoredMessage>],
) -> Result<Vec<Truth>, Invalid> {
    let Some(mixed) = &shared.mixed else {
        return Ok(Vec::new());
    };
    let mut truths = Vec::new();
    for (common, (conversation, history)) in
        (mixed.conversations.iter()).zip(conversations.iter().zip(histories))
    {
        let reader = &mut users[conversation.members[0]];
        let shown = shown(shared, common, reader, history).await?;
        truths.push((shown, common));
    }
    let mut by_reader: BTreeMap<usize, Vec<&Common>> = BTreeMap::new();
    for (conversation, common) in conversations.iter().zip(&mixed.conversations) {
        let theirs = by_reader.entry(conversation.members[0]).or_default();
        theirs.push(common);
    }
    let mut logs = HashMap::new();
    for (reader, theirs) in by_reader {
        let wanted = theirs.iter().map(|common| common.id.as_str()).collect();
        let device = Device::new(shared, &mut users[reader], wanted).await?;
        logs.extend(device.read(shared, reader).await?);
    }
    let guests = guests(mixed, users);
    let truth = |(shown, common): (Folded, &Common)| Truth {
        id: common.id.clone(),
        members: common.members.clone(),
        guest: common.guest.as_ref().and_then(|id| guests.get(id).copied()),
        log: logs.remove(&common.id).unwrap_or_default(),
        shown,
    };
    Ok(truths.into_iter().map(truth).collect())
}

fn guests<'a>(mixed: &'a Mixed, users: &[User]) -> HashMap<&'a String, usize> {
    let invited = mixed
        .conversations
        .iter()
        .filter_map(|common| common.guest.as_ref());
    let index = |id: &String| users.iter().position(|user| user.id == *id);
    invited.filter_map(|id| Some((id, index(id)?))).collect()
}

/// What REST says of a conversation.
async fn shown(
    shared: &Shared,
    common: &Common,
    reader: &mut User,
    history: &[StoredMessage],
) -> Result<Folded, Invalid> {
    let mut shown = Folded::of(common.members.iter().map(String::as_str));
    if common.is_room {
        let room = format!("/rooms/{}", common.id);
        let named: RoomName = shared.accounts.get(reader, &room).await?;
        shown.name = named.name;
        let list = format!("{room}/members?limit={PAGE}");
        let members: Vec<Membership> = shared.accounts.get(reader, &list).await?;
        let members = members.into_iter();
        shown.members = members
            .map(|member| (member.user_id, member.role))
            .collect();
    }
    for message in history {
        let pairs = message.reactions.iter().flat_map(|(emoji, users)| {
            let users = users.iter().cloned();
            users.map(|user| (emoji.clone(), user))
        });
        let saying = Saying {
            content: message.content.clone(),
            is_deleted: message.deleted_at.is_some(),
            reactions: pairs.collect(),
        };
        shown
            .messages
            .insert(message.seq.unwrap_or_default(), saying);
    }
    Ok(shown)
}

/// A new device of somebody who has belonged to these conversations all the time.
struct Device<'a> {
    user: &'a User,
    /// How far each log goes, by the store.
    heads: HashMap<String, u64>,
    logs: HashMap<String, Vec<Logged>>,
}

impl<'a> Device<'a> {
    async fn new(shared: &Shared, user: &'a mut User, wanted: Vec<&str>) -> Result<Self, Invalid> {
        let list = format!("/conversations?limit={PAGE}");
        let heads: Vec<Head> = shared.accounts.get(user, &list).await?;
        let theirs = heads
            .into_iter()
            .filter(|head| wanted.contains(&head.conversation_id.as_str()));
        Ok(Self {
            user,
            heads: theirs
                .map(|head| (head.conversation_id, head.last_seq))
                .collect(),
            logs: HashMap::new(),
        })
    }

    async fn read(
        mut self,
        shared: &Shared,
        gateway: usize,
    ) -> Result<HashMap<String, Vec<Logged>>, Invalid> {
        let reading = timeout(READING, self.listen(shared, gateway)).await;
        let ended = |why: &str| Invalid(format!("a new device was not told the logs: {why}"));
        match reading {
            Ok(Ok(())) => Ok(self.logs),
            Ok(Err(why)) => Err(ended(&why)),
            Err(_) => Err(ended("it takes too long")),
        }
    }

    async fn listen(&mut self, shared: &Shared, gateway: usize) -> Result<(), String> {
        let since: BTreeMap<String, u64> = self.heads.keys().map(|id| (id.clone(), 0)).collect();
        let joining = Joining {
            user: &self.user.id,
            token: &self.user.token,
            since: &since,
            last: None,
            // And it does not: the cursors stay.
            acknowledges: true,
        };
        let dial = Dial::to(&shared.gateways, gateway);
        let mut early = Vec::new();
        let keep = |text: &str| early.push(text.to_owned());
        let mut connection = Connection::open(&dial, Protocol::Native, &joining, keep)
            .await
            .map_err(|error| format!("{error:?}"))?;
        early.iter().for_each(|text| self.take(shared, text));
        while !self.is_complete() {
            let text = connection.next().await.ok_or("the connection ended")?;
            if let Some(text) = text {
                self.take(shared, &text);
            }
        }
        connection.close().await;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.heads.iter().all(|(id, head)| {
            let log = self.logs.get(id).and_then(|log| log.last());
            log.map_or(0, |last| last.seq) >= *head
        })
    }

    fn take(&mut self, shared: &Shared, text: &str) {
        let (conversation, entry) = match Protocol::Native.read(text) {
            Some(Incoming::Changed(change, effect)) => {
                let entry = Logged {
                    seq: change.seq,
                    sender: change.sender_id.into_owned(),
                    effect,
                };
                (change.conversation_id, entry)
            }
            Some(Incoming::Message(message)) => {
                // As it was before it was edited, since edits come behind it.
                let own_id = message.client_message_id.as_deref();
                let number = shared.number_in(&message.content, own_id);
                let content = number.map(|number| shared.content(number));
                let saying = Saying {
                    content: content.unwrap_or_else(|| message.content.clone().into_owned()),
                    ..Saying::default()
                };
                let entry = Logged {
                    seq: message.seq.unwrap_or_default(),
                    sender: message.sender_id.into_owned(),
                    effect: Effect::Said(saying),
                };
                (message.conversation_id, entry)
            }
            _ => return,
        };
        if self.heads.contains_key(conversation.as_ref()) {
            let log = self.logs.entry(conversation.into_owned()).or_default();
            log.push(entry);
        }
    }
}
