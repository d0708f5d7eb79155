//! The people of a run: users, rooms and sessions, made before and questioned after. Knows no pace and no fault.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::audit;
use super::options::{Load, Protocols};
use super::plan::Plan;
use crate::Invalid;
use crate::accounts::{Accounts, User};
use crate::client::{
    Common, Counters, Mixed, Numbering, Order, Patience, Phase, Protocol, Record, Session, Shared,
    Supply, Target,
};
use crate::gateways::Gateways;
use crate::ledger::{Balance, Books, Closed, Conversation, reconcile};
use crate::mix::Kind;

/// How long all sessions together may take to connect.
const CONNECT: Duration = Duration::from_secs(60);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// After everything has arrived: time for what should not arrive again.
const LINGER: Duration = Duration::from_secs(2);
/// How many orders wait for a session that is not connected; a full queue makes the run void.
const ORDERS: usize = 4096;

/// A run, from before its first send to after its last.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) shared: Arc<Shared>,
    pub(crate) phase: watch::Sender<Phase>,
    orders: Vec<mpsc::Sender<Order>>,
    conversations: Vec<Conversation>,
    /// Whom a message of user A in conversation B goes to.
    plan: Plan,
    users: Vec<User>,
    rooms: Vec<String>,
    tasks: Vec<JoinHandle<Record>>,
}

impl Stage {
    /// Registers, makes the rooms, and connects every session.
    pub(crate) async fn prepare(
        gateways: &Gateways,
        load: &Load,
        plan: Plan,
    ) -> Result<Self, Invalid> {
        let accounts = Accounts::new(gateways);
        let run = format!("{:08x}", rand::rng().random::<u32>());
        let users = accounts
            .register(&format!("load-{run}"), plan.users)
            .await?;
        let rooms = make_rooms(&accounts, &plan, &users).await?;
        let sizes = (0..plan.rooms.len() + plan.directs.len())
            .map(|conversation| plan.members_of(conversation).len() as u64);
        let shared = Arc::new(Shared {
            run,
            padding: "x".repeat(load.padding),
            gateways: gateways.clone(),
            start: Instant::now(),
            patience: patience(load)?,
            resume: load.resume,
            counters: Counters::default(),
            sizes: sizes.collect(),
            accounts,
            mixed: mixed(&plan, &users, &rooms),
        });
        let (phase, _) = watch::channel(Phase::default());
        let mut stage = Self {
            conversations: conversations(&plan, &users, &rooms),
            shared,
            phase,
            orders: Vec::new(),
            plan,
            users,
            rooms,
            tasks: Vec::new(),
        };
        stage.start(load.protocol);
        stage.wait_connected().await?;
        Ok(stage)
    }

    fn start(&mut self, protocols: Protocols) {
        for index in 0..self.users.len() {
            let protocol = match protocols {
                Protocols::Ws => Protocol::Native,
                Protocols::Socketio => Protocol::SocketIo,
                Protocols::Mixed if index % 2 == 0 => Protocol::Native,
                Protocols::Mixed => Protocol::SocketIo,
            };
            let gateway = self.plan.gateway_of(index) % self.shared.gateways.all.len();
            let supply = self.supply(index, gateway);
            let (shared, user) = (Arc::clone(&self.shared), self.users[index].clone());
            let phase = self.phase.subscribe();
            let session = Session::new(shared, user, protocol, phase, supply, gateway);
            self.tasks.push(tokio::spawn(session.run()));
        }
    }

    fn supply(&mut self, user: usize, gateway: usize) -> Supply {
        if let (Some(window), Some(conversation)) =
            (self.plan.window_of(user), self.plan.conversation_of(user))
        {
            let target = self.target(conversation, user);
            return Supply::Closed {
                window,
                conversation,
                target,
                mix: self.plan.mix_at(gateway),
            };
        }
        let (sender, receiver) = mpsc::channel(ORDERS);
        self.orders.push(sender);
        Supply::Open(receiver)
    }

    fn target(&self, conversation: usize, sender: usize) -> Target {
        match self.rooms.get(conversation) {
            Some(room) => Target::Room(room.clone()),
            None => {
                let (one, two) = self.plan.directs[conversation - self.rooms.len()];
                let receiver = if one == sender { two } else { one };
                Target::User(self.users[receiver].id.clone())
            }
        }
    }

    async fn wait_connected(&self) -> Result<(), Invalid> {
        let deadline = Instant::now() + CONNECT;
        let wanted = self.users.len() as u64;
        while self.shared.counters.connected.load(Ordering::Relaxed) < wanted {
            if Instant::now() > deadline {
                let connected = self.shared.counters.connected.load(Ordering::Relaxed);
                return Err(Invalid(format!(
                    "only {connected} of {wanted} sessions connected"
                )));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The users, in the order of their sessions.
    pub(crate) fn users(&self) -> &[User] {
        &self.users
    }

    /// A room of a user's, if there is one.
    pub(crate) fn room_of(&self, user: usize) -> Option<&str> {
        let has_them = |members: &Vec<usize>| members.contains(&user);
        let index = self.plan.rooms.iter().position(has_them)?;
        self.rooms.get(index).map(String::as_str)
    }

    /// Orders something from a random member of a random conversation; false when its session's queue is full.
    pub(crate) fn order(&self, number: u64, direct: f64, intended: Duration) -> bool {
        let mut random = rand::rng();
        let (rooms, directs) = (self.rooms.len(), self.plan.directs.len());
        let kind = self.plan.mix.pick();
        // Only rooms are managed, and only by their owners.
        let is_managed = kind == Kind::Members && rooms > 0;
        let to_direct = directs > 0 && random.random_bool(direct.clamp(0.0, 1.0));
        let is_direct = rooms == 0 || (!is_managed && to_direct);
        let conversation = match is_direct {
            true => rooms + random.random_range(0..directs),
            false => random.random_range(0..rooms),
        };
        let members = self.plan.senders(&self.conversations[conversation].members);
        let sender = match is_managed {
            true => members[0],
            false => members[random.random_range(0..members.len())],
        };
        let order = Order {
            number,
            kind,
            conversation,
            target: self.target(conversation, sender),
            intended,
        };
        let counters = &self.shared.counters;
        counters.outstanding.fetch_add(1, Ordering::Relaxed);
        let is_taken = self.orders[sender].try_send(order).is_ok();
        if !is_taken {
            counters.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Waits until every send is answered and everything acknowledged has reached everybody, but no longer than `limit`.
    pub(crate) async fn settle(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let counters = &self.shared.counters;
        let is_settled = || {
            counters.outstanding.load(Ordering::Relaxed) <= 0
                && counters.delivered.load(Ordering::Relaxed)
                    >= counters.expected.load(Ordering::Relaxed)
        };
        while !is_settled() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        sleep(LINGER).await;
    }

    /// Ends all sessions, reads all histories and closes the books.
    pub(crate) async fn finish(self) -> Result<Balance, Invalid> {
        let always = Duration::ZERO..Duration::MAX;
        let closed = self.close(Duration::ZERO, always).await?;
        Ok(closed.balance)
    }

    /// The same, with what happened in each second from `origin` on, and how evenly senders were served `within` a
    /// time.
    pub(crate) async fn close(
        mut self,
        origin: Duration,
        within: Range<Duration>,
    ) -> Result<Closed, Invalid> {
        self.phase.send_modify(|phase| phase.over = true);
        let ended = join_all(std::mem::take(&mut self.tasks)).await;
        let records: Result<Vec<_>, _> = ended.into_iter().collect();
        let mut records = records.map_err(|error| Invalid(format!("a session failed: {error}")))?;
        let mut histories = Vec::new();
        for conversation in &self.conversations {
            let reader = &mut self.users[conversation.members[0]];
            let accounts = &self.shared.accounts;
            histories.push(accounts.history(reader, &conversation.history).await?);
        }
        let mut stored = Vec::new();
        for (conversation, history) in self.conversations.iter_mut().zip(&histories) {
            // A peer numbers nothing, and tells nobody that a room was made.
            let is_numbered = history.first().is_some_and(|first| first.seq.is_some());
            conversation.made = conversation.made.take().filter(|_| is_numbered);
            let numbered = (1..).zip(history).map(|(place, message)| {
                let own_id = message.client_message_id.as_deref();
                let number = self.shared.number_in(&message.content, own_id);
                (message.seq.unwrap_or(place), number)
            });
            stored.push(numbered.collect());
        }
        let truths = audit::read(
            &self.shared,
            &self.conversations,
            &mut self.users,
            &histories,
        );
        let truths = truths.await?;
        let numbering = Numbering::of(&stored);
        for record in &mut records {
            record.judge(&numbering);
        }
        let ids: Vec<String> = self.users.iter().map(|user| user.id.clone()).collect();
        reconcile(&Books {
            conversations: &self.conversations,
            records: &records,
            stored: &stored,
            origin,
            within,
            deep: self.plan.deep.map_or(0, |deep| deep.senders),
            truths: &truths,
            users: &ids,
        })
    }
}

async fn make_rooms(
    accounts: &Accounts,
    plan: &Plan,
    users: &[User],
) -> Result<Vec<String>, Invalid> {
    let mut rooms = Vec::new();
    for (index, members) in plan.rooms.iter().enumerate() {
        let members: Vec<_> = members.iter().map(|member| &users[*member]).collect();
        rooms.push(
            accounts
                .room(members[0], &format!("load {index}"), &members)
                .await?,
        );
    }
    Ok(rooms)
}

fn conversations(plan: &Plan, users: &[User], rooms: &[String]) -> Vec<Conversation> {
    let histories = rooms.iter().map(|room| format!("/room/{room}"));
    let directs = plan.directs.iter();
    let directs =
        directs.map(|(one, two)| format!("/message/{}/{}", users[*one].id, users[*two].id));
    let histories = histories.chain(directs).enumerate();
    let conversation = |(index, history)| Conversation {
        members: plan.members_of(index),
        history,
        made: rooms.get(index).cloned(),
    };
    histories.map(conversation).collect()
}

/// What sessions need to know besides, unless only messages are sent.
fn mixed(plan: &Plan, users: &[User], rooms: &[String]) -> Option<Mixed> {
    if !plan.mix.has_changes() {
        return None;
    }
    let id = |user: usize| users[user].id.clone();
    let directs = plan.directs.iter().map(|(one, two)| {
        let (one, two) = (id(*one), id(*two));
        format!("{}-{}", (&one).min(&two), (&one).max(&two))
    });
    let conversations: Vec<Common> = rooms
        .iter()
        .cloned()
        .chain(directs)
        .enumerate()
        .map(|(number, conversation)| Common {
            id: conversation,
            is_room: number < rooms.len(),
            members: plan.members_of(number).into_iter().map(id).collect(),
            guest: plan.guests.get(number).copied().map(id),
            head: AtomicU64::new(0),
        })
        .collect();
    let numbers = conversations.iter().enumerate();
    Some(Mixed {
        victim: plan.victim,
        numbers: numbers
            .map(|(number, common)| (common.id.clone(), number))
            .collect(),
        conversations,
    })
}

fn patience(load: &Load) -> Result<Patience, Invalid> {
    let seconds = |seconds: f64| {
        Duration::try_from_secs_f64(seconds).map_err(|error| Invalid(error.to_string()))
    };
    Ok(Patience {
        answer: seconds(load.answer_within)?,
        silence: seconds(load.silence)?,
        churn: load.churn.map(seconds).transpose()?,
    })
}
