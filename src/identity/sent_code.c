#include "identity/sent_code.h"

#include "base/clock.h"
#include "base/rand.h"
#include "parse/base64.h"

#define DIGITS 8
#define HOUR_MS ((int64_t)3600 * 1000)
#define MAC_CHARS 43

struct span phone_normal(struct span phone, struct arena *arena)
{
	char *text = arena_alloc(arena, phone.len + 1);
	size_t len = 0;

	if (!text || phone.len > 40)
		return SPAN_NONE;
	for (size_t i = 0; i < phone.len; i++) {
		char c = phone.ptr[i];

		if ((c == '+' && len == 0) || (c >= '0' && c <= '9'))
			text[len++] = c;
		else if (!strchr(" -()./", c) || !c)
			return SPAN_NONE;
	}
	text[len] = '\0';
	if (len < 8 || len > 16 || text[0] != '+' || text[1] == '0')
		return SPAN_NONE;
	return span_of(text, len);
}

bool sent_code_offers(const struct idp_exchange *x, const struct idp_user *user,
		      struct span channel)
{
	if (span_eq(channel, SPAN("email")))
		return x->config->identity.codes.email && x->config->mail &&
		       user->email_verified && user->email.len;
	return span_eq(channel, SPAN("sms")) && x->config->identity.sms && user->phone.len;
}

enum sent_code_result sent_code_allow(struct idp_exchange *x, const char *kind,
				      const struct idp_user *user, struct err *err)
{
	struct span key = arena_printf(x->arena, "sent/%s/%.*s", kind, SPAN_ARG(user->id));
	struct store_counter counter;

	if (!key.ptr) {
		(void)idp_no_memory(err);
		return SENT_CODE_FAILED;
	}
	if (store_count(x->idp->shared, key, 1, HOUR_MS, STORE_COUNT_FIXED, &counter, err) !=
	    STORE_OK)
		return SENT_CODE_FAILED;
	return counter.value > (int64_t)x->config->identity.codes.per_hour ? SENT_CODE_TOO_MANY
									   : SENT_CODE_OK;
}

static struct span key_of(struct idp_exchange *x, const char *purpose, struct span who)
{
	return arena_printf(x->arena, "%s/%.*s", purpose, SPAN_ARG(who));
}

/* Eight digits could be tried out by who reads the store: the MAC needs the key file too. */
static struct span mac_of(struct idp_exchange *x, struct span key, struct span to,
			  struct span code)
{
	struct span text = arena_printf(x->arena, "%.*s\n%.*s\n%.*s", SPAN_ARG(key),
					SPAN_ARG(to), SPAN_ARG(code));
	unsigned char mac[VAULT_MAC_BYTES];
	char *encoded = arena_alloc(x->arena, MAC_CHARS + 1);

	if (!text.ptr || !encoded || !vault_mac(x->idp->vault, SPAN("sent-code"), text, mac))
		return SPAN_NONE;
	base64url_encode(encoded, span_of(mac, sizeof(mac)));
	return span_of(encoded, MAC_CHARS);
}

struct sent {
	struct span channel;
	struct span to;
	struct span mac;
	int64_t tries;
	int64_t expires_unix_ms;
	uint64_t version;
};

static enum store_result put(struct idp_exchange *x, struct span key, const struct sent *sent,
			     struct err *err)
{
	struct store_change change = {.kind = SPAN("sent-code"),
				      .key = key,
				      .expect = sent->version ? STORE_EXPECT_VERSION
							      : STORE_EXPECT_ANY,
				      .version = sent->version,
				      .expires_unix_ms = sent->expires_unix_ms};
	struct json_writer w;
	struct buf value;

	buf_init(&value, 4096);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("channel"), sent->channel);
	json_member_string(&w, SPAN("to"), sent->to);
	json_member_string(&w, SPAN("mac"), sent->mac);
	json_member_int(&w, SPAN("tries"), sent->tries);
	json_end_object(&w);
	return idp_commit(x->idp->shared, &change, 1, &value, err);
}

static int post(struct idp_exchange *x, struct span channel, struct span to, struct span code,
		struct err *err)
{
	struct span name = x->config->identity.theme.name;
	struct span text = arena_printf(
		x->arena,
		"%.*s is your code for %.*s.\n\nIt is good for %llu minutes. Nobody from %.*s "
		"will ever ask you for it.\n",
		SPAN_ARG(code), SPAN_ARG(name),
		(unsigned long long)(x->config->identity.codes.life_ms / 60000),
		SPAN_ARG(name));
	struct span subject = arena_printf(x->arena, "Your code for %.*s", SPAN_ARG(name));
	int result;

	if (!text.ptr || !subject.ptr)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	if (span_eq(channel, SPAN("sms")))
		result = outbox_sms(x->idp->outbox, x->config, to, text);
	else
		result = outbox_mail(x->idp->outbox, x->config, to, subject, text);
	if (result < 0)
		return err_set(err, ERR_UNAVAILABLE, "identity: too many messages wait");
	return 0;
}

enum sent_code_result sent_code_send(struct idp_exchange *x, const struct idp_user *user,
				     const char *purpose, struct span who, struct span channel,
				     struct span to, struct err *err)
{
	struct sent sent = {.channel = channel, .to = to};
	struct span key = key_of(x, purpose, who);
	enum sent_code_result allowed = sent_code_allow(x, "code", user, err);
	char code[DIGITS + 1];

	if (allowed != SENT_CODE_OK)
		return allowed;
	for (size_t i = 0; i < DIGITS; i++)
		code[i] = (char)('0' + rand_below(10));
	code[DIGITS] = '\0';
	sent.mac = key.ptr ? mac_of(x, key, to, span_cstr(code)) : SPAN_NONE;
	sent.expires_unix_ms = clock_unix_ms() + (int64_t)x->config->identity.codes.life_ms;
	if (!sent.mac.ptr) {
		(void)idp_no_memory(err);
		return SENT_CODE_FAILED;
	}
	if (put(x, key, &sent, err) != STORE_OK ||
	    post(x, channel, to, span_cstr(code), err) < 0)
		return SENT_CODE_FAILED;
	secret_wipe(code, sizeof(code));
	idp_audit(x->idp, "code.sent", "user", user->id, "channel", channel);
	return SENT_CODE_OK;
}

static enum store_result read_sent(struct idp_exchange *x, struct span key, struct sent *sent,
				   struct err *err)
{
	struct store_record record;
	const struct json *object;
	enum store_result result =
		store_get(x->idp->shared, SPAN("sent-code"), key, x->arena, &record, err);

	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	*sent = (struct sent){.channel = json_text(object, "channel"),
			      .to = json_text(object, "to"),
			      .mac = json_text(object, "mac"),
			      .tries = json_number(object, "tries"),
			      .expires_unix_ms = record.expires_unix_ms,
			      .version = record.version};
	return STORE_OK;
}

enum store_result sent_code_check(struct idp_exchange *x, const char *purpose, struct span who,
				  struct span code, struct span *channel, struct span *to,
				  struct err *err)
{
	struct store_change used = {.kind = SPAN("sent-code"), .remove = true};
	struct sent sent = {.tries = 0};
	struct span key = key_of(x, purpose, who), mac;
	enum store_result result;

	if (!key.ptr)
		return idp_no_memory(err);
	result = read_sent(x, key, &sent, err);
	if (result != STORE_OK)
		return result;
	if (sent.tries >= (int64_t)x->config->identity.codes.attempts)
		return STORE_ABSENT;
	sent.tries++;
	/* Of attempts at the same time one counts, and only that one is looked at. */
	result = put(x, key, &sent, err);
	if (result != STORE_OK)
		return result == STORE_CONFLICT ? STORE_ABSENT : result;
	mac = mac_of(x, key, sent.to, code);
	if (!mac.ptr)
		return idp_no_memory(err);
	if (code.len != DIGITS || !secret_eq(mac, sent.mac))
		return STORE_ABSENT;
	used.key = key;
	if (channel)
		*channel = sent.channel;
	if (to)
		*to = sent.to;
	return store_commit(x->idp->shared, &used, 1, err);
}
