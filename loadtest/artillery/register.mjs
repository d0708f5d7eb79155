// Before an Artillery user opens its socket: registers it and makes a room with its neighbour, over REST.

async function post(url, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

let neighbour;

export async function register(context) {
  const base = context.vars.target;
  const username = `artillery-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}`;
  const user = await post(`${base}/register`, { username, password: "correct horse battery" });
  const members = neighbour ? [neighbour] : [];
  const room = await post(`${base}/room`, { name: "artillery", members }, user.token);
  neighbour = user.userId;
  Object.assign(context.vars, { token: user.token, roomId: room._id, socketUrl: `${base.replace("http", "ws")}/ws` });
}
