// Before an Artillery user opens its socket: registers it and makes a room with its neighbour, over REST.

async function post(url, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

let neighbour;

async function prepare(base, vars) {
  const username = `artillery-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}`;
  const user = await post(`${base}/register`, { username, password: "correct horse battery" });
  const members = neighbour ? [neighbour] : [];
  const room = await post(`${base}/room`, { name: "artillery", members }, user.token);
  neighbour = user.userId;
  Object.assign(vars, { token: user.token, roomId: room._id });
}

// Artillery calls it where its scenario says `connect`; it must end by calling back.
export function register(socket, context, done) {
  const base = socket.target;
  socket.target = `${base.replace("http", "ws")}/ws`;
  prepare(base, context.vars).then(() => done(), done);
}
