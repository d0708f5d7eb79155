// The seed's routes, with tokens. Knows sockets only as far as a new room concerns those who are there.

import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

import express from "express";
import jwt from "jsonwebtoken";

import { Message, Room, User } from "./models.mjs";

const derive = promisify(scrypt);
const KEY_BYTES = 32;

async function hash(password) {
  const salt = randomBytes(16);
  return `${salt.toString("hex")}:${(await derive(password, salt, KEY_BYTES)).toString("hex")}`;
}

async function matches(password, stored) {
  const [salt, key] = stored.split(":").map((part) => Buffer.from(part, "hex"));
  return timingSafeEqual(key, await derive(password, salt, KEY_BYTES));
}

function session(user, secret) {
  const userId = user._id.toString();
  return { userId, username: user.username, token: jwt.sign({ sub: userId }, secret, { expiresIn: "1h" }) };
}

export function routes(app, io, secret) {
  app.use(express.json());
  app.get("/health", (_request, response) => response.send("ok"));

  app.post("/register", async (request, response) => {
    const { username, password } = request.body;
    if (await User.exists({ username })) return response.status(409).json({ error: "Username taken" });
    const user = await User.create({ username, password: await hash(password) });
    response.status(201).json(session(user, secret));
  });

  app.post("/login", async (request, response) => {
    const user = await User.findOne({ username: request.body.username });
    if (!user || !(await matches(request.body.password, user.password))) {
      return response.status(401).json({ error: "Invalid credentials" });
    }
    response.json(session(user, secret));
  });

  app.use((request, response, next) => {
    try {
      request.userId = jwt.verify((request.headers.authorization ?? "").replace(/^Bearer /, ""), secret).sub;
      next();
    } catch {
      response.status(401).json({ error: "Unauthorized" });
    }
  });

  app.post("/room", async (request, response) => {
    const members = [...new Set([request.userId, ...request.body.members])];
    const room = await Room.create({ name: request.body.name, members });
    io.in(members).socketsJoin(room._id.toString());
    response.status(201).json(room);
  });

  app.get("/room/:roomId", async (request, response) => {
    const { roomId } = request.params;
    if (!(await Room.exists({ _id: roomId, members: request.userId }))) return response.sendStatus(403);
    response.json(await Message.find({ roomId }).sort({ timestamp: 1, _id: 1 }).lean());
  });

  app.get("/message/:userId/:otherUserId", async (request, response) => {
    const { userId, otherUserId } = request.params;
    if (request.userId !== userId && request.userId !== otherUserId) return response.sendStatus(403);
    const pairs = [
      { senderId: userId, receiverId: otherUserId },
      { senderId: otherUserId, receiverId: userId },
    ];
    response.json(await Message.find({ $or: pairs }).sort({ timestamp: 1, _id: 1 }).lean());
  });
}
