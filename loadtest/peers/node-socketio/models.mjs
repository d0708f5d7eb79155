// What the peer stores: the seed's three documents. Knows no socket.

import mongoose from "mongoose";

const { Schema } = mongoose;

// Ids are strings on the wire and in references, as in the seed.
const user = new Schema({
  username: { type: String, required: true, unique: true },
  password: { type: String, required: true },
  online: { type: Boolean, default: false },
});

const room = new Schema({
  name: { type: String, required: true },
  members: { type: [String], index: true },
});

const message = new Schema(
  {
    senderId: { type: String, required: true },
    receiverId: String,
    roomId: String,
    content: { type: String, required: true },
    timestamp: { type: Date, default: Date.now },
    seen: { type: Boolean, default: false },
    type: { type: String, enum: ["private", "group"], required: true },
    clientMessageId: String,
  },
  { versionKey: false },
);
message.index({ roomId: 1, timestamp: 1 });
message.index({ senderId: 1, receiverId: 1, timestamp: 1 });
message.index({ receiverId: 1, seen: 1, timestamp: 1 });
// Socket.IO's own tutorial ("client delivery"): a unique id from the client makes a repeated send harmless.
message.index(
  { senderId: 1, clientMessageId: 1 },
  { unique: true, partialFilterExpression: { clientMessageId: { $type: "string" } } },
);

export const User = mongoose.model("User", user);
export const Room = mongoose.model("Room", room);
export const Message = mongoose.model("Message", message);

const DUPLICATE_KEY = 11000;

// Stores a message; a repeated one is answered with what is stored. `isNew` tells which it was.
export async function save(fields) {
  try {
    return { message: await Message.create(fields), isNew: true };
  } catch (error) {
    if (error.code !== DUPLICATE_KEY) throw error;
    const { senderId, clientMessageId } = fields;
    return { message: await Message.findOne({ senderId, clientMessageId }), isNew: false };
  }
}
