// The seed's events, with tokens and acknowledgements. An acknowledgement follows the save; the emit goes through the
// Redis adapter to whichever process holds the receivers.

import jwt from "jsonwebtoken";

import { Message, Room, User, save } from "./models.mjs";

// Runs a request and answers it; a failure is one the client may try again.
function answering(work) {
  return async (payload, ...rest) => {
    const answer = rest.findLast((argument) => typeof argument === "function") ?? (() => {});
    try {
      answer({ ok: true, ...(await work(payload, rest[0])) });
    } catch (error) {
      console.error(error.message);
      answer({ error: { code: error.code === "not_a_member" ? error.code : "unavailable", message: error.message } });
    }
  };
}

function notAMember() {
  return Object.assign(new Error("not a member"), { code: "not_a_member" });
}

export function sockets(io, secret, { catchUp }) {
  io.use((socket, next) => {
    try {
      socket.data.userId = jwt.verify(socket.handshake.auth.token, secret).sub;
      next();
    } catch {
      next(Object.assign(new Error("invalid token"), { data: { code: "invalid_token" } }));
    }
  });

  io.on("connection", (socket) => {
    const { userId } = socket.data;

    socket.on("join", answering(async (_claimed, options) => {
      const rooms = (await Room.find({ members: userId }, { _id: 1 }).lean()).map((room) => room._id.toString());
      socket.join([userId, ...rooms]);
      await User.updateOne({ _id: userId }, { online: true });
      await emitUnseen(socket, userId);
      if (catchUp && options?.last) await emitMissedInRooms(socket, rooms, options.last);
      return { userId, rooms };
    }));

    socket.on("join_room", answering(async (roomId) => {
      if (!(await Room.exists({ _id: roomId, members: userId }))) throw notAMember();
      socket.join(roomId);
    }));

    socket.on("send_message", answering(async ({ receiverId, content, clientMessageId }) => {
      const { message, isNew } = await save({ senderId: userId, receiverId, content, clientMessageId, type: "private" });
      if (isNew) io.to(receiverId).emit("receive_message", message);
      return { message };
    }));

    socket.on("send_group_message", answering(async ({ roomId, content, clientMessageId }) => {
      if (!socket.rooms.has(roomId)) throw notAMember();
      const { message, isNew } = await save({ senderId: userId, roomId, content, clientMessageId, type: "group" });
      if (isNew) io.to(roomId).emit("receive_group_message", message);
      return { message };
    }));

    socket.on("typing", ({ roomId, receiverId, typing }) => {
      socket.to(roomId ?? receiverId).volatile.emit("typing", { userId, roomId, typing });
    });

    socket.on("disconnect", () => {
      User.updateOne({ _id: userId }, { online: false }).catch((error) => console.error(error.message));
    });
  });
}

// The seed's offline delivery: what is unseen is emitted, and seen from then on.
async function emitUnseen(socket, receiverId) {
  const unseen = await Message.find({ receiverId, seen: false }).sort({ timestamp: 1, _id: 1 }).lean();
  for (const message of unseen) socket.emit("receive_message", message);
  const ids = unseen.map((message) => message._id);
  if (ids.length > 0) await Message.updateMany({ _id: { $in: ids } }, { seen: true });
}

// Socket.IO's tutorial ("server delivery"): the client names the last thing it has, and gets what is newer. The seed has
// no such thing for rooms, and connection state recovery does not exist with the Redis adapter.
async function emitMissedInRooms(socket, rooms, last) {
  const missed = Message.find({ roomId: { $in: rooms }, timestamp: { $gte: new Date(last) } });
  for (const message of await missed.sort({ timestamp: 1, _id: 1 }).lean()) {
    socket.emit("receive_group_message", message);
  }
}
