// Runs npm's oidc-provider (https://github.com/panva/node-oidc-provider, OpenID certified) as the child of a test:
// node openid_provider_service.mjs <folder of the package>
//
// Standard input and output speak JSON, one object per line: the first line starts it, each other one is a command, and
// every line gets one line as answer. It ends when its standard input ends, so that it can't outlive its parent.
//
// What a person would do on the provider's pages is done by request headers: X-Person signs in, X-Refuse names the
// scopes that they don't agree to.
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

console.info = console.log = console.error; // the library's notices must not stand between our lines
const { default: Provider } = await import(pathToFileURL(join(process.argv[2], "lib", "index.js")).href);

const KEYS = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  EdDSA: ["ed25519", {}],
};

// The library's own store keeps a thousand entries and forgets the rest.
const rows = new Map();
const key = (model, id) => `${model}:${id}`;
class Store {
  constructor(model) {
    this.model = model;
  }
  async upsert(id, payload) {
    rows.set(key(this.model, id), { ...payload });
  }
  async find(id) {
    return rows.get(key(this.model, id));
  }
  async findByUid(uid) {
    return [...rows].find(([name, row]) => name.startsWith(`${this.model}:`) && row.uid === uid)?.[1];
  }
  async findByUserCode() {
    return undefined;
  }
  async consume(id) {
    rows.get(key(this.model, id)).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    rows.delete(key(this.model, id));
  }
  async revokeByGrantId(grantId) {
    for (const [name, row] of rows) {
      if (row.grantId === grantId) rows.delete(name);
    }
  }
}

let issuer;
let settings;
let counts;
let provider;
let handle;
let away = false;
let answersToLose = 0;
const keys = new Map();

function signingKey(algorithm) {
  if (!keys.has(algorithm)) {
    const { privateKey } = generateKeyPairSync(...KEYS[algorithm]);
    keys.set(algorithm, { ...privateKey.export({ format: "jwk" }), use: "sig", alg: algorithm });
  }
  return keys.get(algorithm);
}

// What a setting does not name stays as the library's authors chose it.
function configuration() {
  const client = {
    client_id: settings.client_id,
    redirect_uris: settings.redirect_uris,
    grant_types: settings.refresh_tokens === false ? ["authorization_code"] : ["authorization_code", "refresh_token"],
    response_types: ["code"],
  };
  if (settings.algorithm) client.id_token_signed_response_alg = settings.algorithm;
  if (settings.client_authentication) client.token_endpoint_auth_method = settings.client_authentication;
  if (settings.client_keys) client.jwks = settings.client_keys;
  else client.client_secret = settings.client_secret;
  const made = {
    adapter: Store,
    clients: [client],
    jwks: { keys: [signingKey(settings.algorithm ?? "RS256")] },
    cookies: { keys: ["only a test's"] },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(KEYS) },
    features: { devInteractions: { enabled: false } },
    claims: { profile: ["name", "preferred_username"], email: ["email"] },
    ttl: { Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of elsewhere`, preferred_username: `${id}@elsewhere.example` }),
    }),
  };
  if (settings.access_token_seconds) made.ttl.AccessToken = settings.access_token_seconds;
  if (settings.rotation !== undefined) made.rotateRefreshToken = settings.rotation;
  if (settings.client_authentications) made.clientAuthMethods = settings.client_authentications;
  return made;
}

function renew() {
  provider = new Provider(issuer, configuration());
  provider.on("grant.success", (ctx) => {
    if (ctx.oidc.params.grant_type === "refresh_token") counts.redeemed += 1;
  });
  provider.on("grant.error", (ctx, error) => {
    counts.refused.push(`${error.error}: ${error.error_detail ?? error.error_description ?? ""}`);
    if (error.error_detail === "refresh token already used") counts.reused += 1;
  });
  provider.on("server_error", (_, error) => process.stderr.write(`${error.stack}\n`));
  handle = provider.callback();
}

async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  const result = {};
  if (prompt.name === "login") {
    result.login = { accountId: request.headers["x-person"] ?? params.login_hint ?? "ada" };
  } else {
    const known = grantId && (await provider.Grant.find(grantId));
    const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const refused = (request.headers["x-refuse"] ?? "").split(" ").filter(Boolean);
    const asked = [...(prompt.details.missingOIDCScope ?? [])].filter((scope) => !refused.includes(scope));
    if (asked.length) grant.addOIDCScope(asked.join(" "));
    if (refused.length) grant.rejectOIDCScope(refused.join(" "));
    result.consent = { grantId: await grant.save() };
  }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

async function answer(request, response) {
  if (away) {
    request.socket.destroy();
  } else if (request.url.startsWith("/interaction/")) {
    await interact(request, response);
  } else if (request.url.startsWith("/token")) {
    counts.token_requests += 1;
    counts.authentications[request.headers.authorization ? "basic" : "body"] += 1;
    await new Promise((resolve) => setTimeout(resolve, settings.latency_ms ?? 0));
    if (answersToLose > 0) {
      answersToLose -= 1;
      response.end = () => request.socket.destroy();
      response.write = () => true;
    }
    await handle(request, response);
  } else {
    if (request.url.startsWith("/auth?")) counts.asked.push(Object.fromEntries(new URL(request.url, issuer).searchParams));
    if (request.url.startsWith("/jwks")) counts.keys_fetched += 1;
    await handle(request, response);
  }
}

const commands = {
  // A new provider without any grant, with these settings alone.
  reset(given) {
    rows.clear();
    settings = given;
    counts = {
      token_requests: 0, redeemed: 0, reused: 0, keys_fetched: 0, refused: [], asked: [],
      authentications: { basic: 0, body: 0 },
    };
    away = false;
    answersToLose = 0;
    renew();
  },
  // Other settings; grants stay.
  change(given) {
    settings = { ...settings, ...given };
    renew();
  },
  counts: () => counts,
  rotate_keys() {
    keys.clear();
    renew();
  },
  // The person takes back what they agreed to.
  revoke({ person }) {
    for (const [name, row] of rows) {
      if (row.accountId === person && !name.startsWith("Session:")) rows.delete(name);
    }
  },
  // Every connection breaks until it is back.
  go_away() {
    away = true;
    server.closeAllConnections();
  },
  come_back() {
    away = false;
  },
  // The next answers of the token endpoint never arrive, although what they tell has happened.
  lose_answers({ count }) {
    answersToLose = count;
  },
};

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    response.destroy();
  });
});

function say(value) {
  process.stdout.write(JSON.stringify(value ?? {}) + "\n");
}

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
lines.on("line", (line) => {
  const { command, ...given } = JSON.parse(line);
  if (command !== "start") {
    say(commands[command](given));
    return;
  }
  const { certificate, private_key: privateKey } = given;
  server.setSecureContext({ cert: certificate, key: privateKey });
  server.listen(0, "127.0.0.1", () => {
    issuer = `https://localhost:${server.address().port}`;
    say({ issuer });
  });
});
