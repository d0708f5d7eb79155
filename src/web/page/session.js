// Who is logged in, and their requests over REST. Knows routes and tokens; knows no page and no socket.
//
// The tokens are kept in sessionStorage: each tab may be another user, and closing the tab forgets them.

const KEY = "hobnob";

/** A request the server refused, or that did not get through (`code` is then "network"). */
export class RequestError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Session {
  #account = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  #refreshing = null;

  get userId() { return this.#account?.userId ?? null; }
  get username() { return this.#account?.username ?? null; }

  async register(username, password) { this.#keep(await send("POST", "/register", { username, password })); }
  async login(username, password) { this.#keep(await send("POST", "/login", { username, password })); }

  async logout() {
    const account = this.#account;
    this.forget();
    if (account) {
      await send("POST", "/logout", { refreshToken: account.refreshToken }, account.token).catch(() => {});
    }
  }

  forget() {
    this.#account = null;
    sessionStorage.removeItem(KEY);
  }

  /** An access token that is valid for some time yet; a fresh one when the last was refused. */
  async token(isRefused = false) {
    // A fifth of its life early, so that it does not end on its way.
    if (isRefused || Date.now() > this.#account.since + this.#account.expiresIn * 800) {
      await this.#refresh();
    }
    return this.#account.token;
  }

  get(path) { return this.#authorised("GET", path); }
  post(path, body) { return this.#authorised("POST", path, body); }

  async #authorised(method, path, body) {
    try {
      return await send(method, path, body, await this.token());
    } catch (error) {
      if (error.code !== "token_expired" && error.code !== "token_invalid") { throw error; }
      await this.#refresh();
      return send(method, path, body, this.#account.token);
    }
  }

  /** One refresh at a time: a refresh token is good for one use. */
  #refresh() {
    this.#refreshing ??= send("POST", "/refresh", { refreshToken: this.#account.refreshToken })
      .then((account) => this.#keep(account))
      .finally(() => { this.#refreshing = null; });
    return this.#refreshing;
  }

  #keep(account) {
    this.#account = { ...this.#account, ...account, since: Date.now() };
    sessionStorage.setItem(KEY, JSON.stringify(this.#account));
  }
}

/** Whether the account is gone for good, so that only a new log-in helps. */
export function isLoggedOut(error) {
  return ["token_invalid", "token_expired", "token_missing", "invalid_credentials"].includes(error.code);
}

async function send(method, path, body, token) {
  const headers = {};
  if (body !== undefined) { headers["content-type"] = "application/json"; }
  if (token) { headers.authorization = `Bearer ${token}`; }
  let response;
  let answer = null;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new RequestError("network", "the server cannot be reached");
  }
  if (!response.ok) {
    throw new RequestError(answer?.error?.code ?? "network", answer?.error?.message ?? response.statusText);
  }
  return answer;
}
