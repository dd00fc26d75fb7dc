#include "identity/outbox.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/mail_options.h"
#include "io/http_call.h"
#include "parse/form.h"

#define QUEUE_MAX 512
#define TRIES 3
#define RETRY_MS ((int64_t)2000)
#define END_MS ((int64_t)5000)
#define ITEM_BYTES ((size_t)64 * 1024)

struct item {
	struct list node;
	struct config *config;
	struct arena arena;
	bool sms;
	struct span to, subject, text;
	unsigned tries;
	int64_t not_before_ms;
};

struct outbox {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Behind the lock. */
	struct list items;
	unsigned count;
	bool ending;
	uint64_t sent, failed;
};

/* ---- templates ---- */

static void put(struct buf *out, struct span value, enum outbox_escape escape)
{
	switch (escape) {
	case OUTBOX_ESCAPE_NONE: buf_append(out, value); break;
	case OUTBOX_ESCAPE_JSON: buf_append_json(out, value); break;
	case OUTBOX_ESCAPE_FORM: form_append_escaped(out, value); break;
	}
}

void outbox_fill(struct buf *out, struct span template, const struct outbox_values *values,
		 enum outbox_escape escape)
{
	const struct {
		struct span name;
		struct span value;
	} known[] = {{SPAN("{to}"), values->to},
		     {SPAN("{text}"), values->text},
		     {SPAN("{secret}"), values->secret}};

	while (template.len) {
		size_t brace = span_find_byte(template, '{');
		bool found = false;

		buf_append(out, span_slice(template, 0, brace));
		template = span_slice(template, brace, template.len);
		for (size_t i = 0; i < COUNT_OF(known) && !found; i++) {
			found = span_starts_with(template, known[i].name);
			if (!found)
				continue;
			put(out, known[i].value, escape);
			template = span_slice(template, known[i].name.len, template.len);
		}
		if (!found && template.len) {
			buf_append_byte(out, '{');
			template = span_slice(template, 1, template.len);
		}
	}
}

/* ---- sending ---- */

static int send_mail(const struct item *item, struct err *err)
{
	const struct mail_options options = config_mail_options(item->config->mail);
	const struct mail mail = {.to = item->to, .subject = item->subject, .text = item->text};

	return mail_send(&options, &mail, err);
}

static int make_call(struct item *item, struct http_call *call, struct err *err)
{
	const struct config_sms *sms = item->config->identity.sms;
	const struct outbox_values values = {item->to, item->text, secret_span(&sms->secret)};
	bool json = span_eq(sms->content_type, SPAN("application/json"));
	struct buf text;

	*call = (struct http_call){.url = sms->url,
				   .post = true,
				   .ca = sms->ca,
				   .timeout_ms = (int64_t)sms->timeout_ms};
	buf_init(&text, ITEM_BYTES);
	outbox_fill(&text, sms->body, &values, json ? OUTBOX_ESCAPE_JSON : OUTBOX_ESCAPE_FORM);
	call->body = buf_failed(&text) ? SPAN_NONE : arena_dup(&item->arena, buf_span(&text));
	call->headers[call->header_count++] =
		arena_printf(&item->arena, "Content-Type: %.*s", SPAN_ARG(sms->content_type));
	for (size_t i = 0; i < sms->headers.count && i < HTTP_CALL_HEADERS_MAX - 1; i++) {
		buf_clear(&text);
		buf_append(&text, sms->headers.at[i].name);
		buf_append_cstr(&text, ": ");
		outbox_fill(&text, sms->headers.at[i].value, &values, OUTBOX_ESCAPE_NONE);
		call->headers[call->header_count++] =
			buf_failed(&text) ? SPAN_NONE
					  : arena_dup(&item->arena, buf_span(&text));
	}
	if (text.ptr)
		secret_wipe(text.ptr, text.len);
	buf_release(&text);
	for (size_t i = 0; i < call->header_count; i++)
		if (!call->headers[i].ptr)
			return err_set(err, ERR_MEMORY, "out of memory");
	return call->body.ptr ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

static int send_sms(struct item *item, struct err *err)
{
	struct http_call call;
	struct span answer;
	unsigned status = 0;

	if (make_call(item, &call, err) < 0 ||
	    http_call(&call, &item->arena, &status, &answer, err) < 0)
		return err_wrap(err, "sms");
	if (status < 200 || status > 299)
		return err_set(err,
			       status >= 400 && status < 500 ? ERR_DENIED : ERR_UNAVAILABLE,
			       "sms: the provider answers %u", status);
	return 0;
}

static void item_free(struct item *item)
{
	arena_release(&item->arena);
	config_unref(item->config);
	mem_free(item);
}

/* Outside the lock. True: it is done with, one way or the other. */
static bool try_item(struct outbox *outbox, struct item *item, bool ending)
{
	struct err err = {.code = ERR_NONE};
	int result = item->sms ? send_sms(item, &err) : send_mail(item, &err);
	bool again = result < 0 && ++item->tries < TRIES && err.code != ERR_DENIED &&
		     err.code != ERR_INVALID && !ending;

	if (again) {
		item->not_before_ms = clock_ms() + RETRY_MS * item->tries;
		return false;
	}
	if (result < 0)
		log_message(LOG_WARN, "identity.outbox", "%s", err.message);
	pthread_mutex_lock(&outbox->lock);
	outbox->sent += result == 0;
	outbox->failed += result < 0;
	pthread_mutex_unlock(&outbox->lock);
	return true;
}

/* ---- the queue ---- */

/* The first that may go; *wait_ms says when to look again otherwise. The lock is held. */
static struct item *take(struct outbox *outbox, int64_t *wait_ms)
{
	int64_t now = clock_ms();

	*wait_ms = -1;
	for (struct list *node = outbox->items.next; node != &outbox->items;
	     node = node->next) {
		struct item *item = CONTAINER_OF(node, struct item, node);

		if (outbox->ending || item->not_before_ms <= now) {
			list_remove(&item->node);
			return item;
		}
		if (*wait_ms < 0 || item->not_before_ms - now < *wait_ms)
			*wait_ms = item->not_before_ms - now;
	}
	return NULL;
}

static void wait_for(struct outbox *outbox, int64_t wait_ms)
{
	struct timespec until;

	if (wait_ms < 0) {
		pthread_cond_wait(&outbox->wake, &outbox->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&outbox->wake, &outbox->lock, &until);
}

static void *outbox_main(void *arg)
{
	struct outbox *outbox = arg;
	int64_t end_ms = 0;

	pthread_mutex_lock(&outbox->lock);
	for (;;) {
		int64_t wait_ms;
		struct item *item = take(outbox, &wait_ms);
		bool ending = outbox->ending;

		if (ending && !end_ms)
			end_ms = clock_ms() + END_MS;
		if (!item && ending)
			break;
		if (!item) {
			wait_for(outbox, wait_ms);
			continue;
		}
		pthread_mutex_unlock(&outbox->lock);
		if (ending && clock_ms() > end_ms) {
			log_message(LOG_WARN, "identity.outbox",
				    "a message is not sent: ending");
			item_free(item);
			item = NULL;
		} else if (try_item(outbox, item, ending)) {
			item_free(item);
			item = NULL;
		}
		pthread_mutex_lock(&outbox->lock);
		if (item)
			list_push_back(&outbox->items, &item->node);
		else
			outbox->count--;
	}
	pthread_mutex_unlock(&outbox->lock);
	return NULL;
}

static int push(struct outbox *outbox, struct item *item)
{
	bool full;

	pthread_mutex_lock(&outbox->lock);
	full = outbox->count >= QUEUE_MAX || outbox->ending;
	if (full) {
		outbox->failed++;
	} else {
		outbox->count++;
		list_push_back(&outbox->items, &item->node);
		pthread_cond_signal(&outbox->wake);
	}
	pthread_mutex_unlock(&outbox->lock);
	if (!full)
		return 0;
	item_free(item);
	return -1;
}

static struct item *item_new(struct config *cfg, struct span to, struct span subject,
			     struct span text)
{
	struct item *item = mem_zalloc(1, sizeof(*item));

	if (!item)
		return NULL;
	arena_init(&item->arena, ITEM_BYTES * 4, 4096);
	item->config = config_ref(cfg);
	item->to = arena_dup(&item->arena, to);
	item->subject = arena_dup(&item->arena, subject);
	item->text = arena_dup(&item->arena, text);
	if (item->to.ptr && item->subject.ptr && item->text.ptr)
		return item;
	item_free(item);
	return NULL;
}

int outbox_mail(struct outbox *outbox, struct config *cfg, struct span to, struct span subject,
		struct span text)
{
	struct item *item = outbox && cfg->mail ? item_new(cfg, to, subject, text) : NULL;

	return item ? push(outbox, item) : -1;
}

int outbox_sms(struct outbox *outbox, struct config *cfg, struct span to, struct span text)
{
	struct item *item =
		outbox && cfg->identity.sms ? item_new(cfg, to, SPAN(""), text) : NULL;

	if (!item)
		return -1;
	item->sms = true;
	return push(outbox, item);
}

struct outbox *outbox_new(struct err *err)
{
	struct outbox *outbox = mem_zalloc(1, sizeof(*outbox));
	sigset_t all, old;
	int failed;

	if (!outbox) {
		(void)err_set(err, ERR_MEMORY, "identity: out of memory");
		return NULL;
	}
	list_init(&outbox->items);
	pthread_mutex_init(&outbox->lock, NULL);
	pthread_cond_init(&outbox->wake, NULL);
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	failed = pthread_create(&outbox->thread, NULL, outbox_main, outbox);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!failed)
		return outbox;
	(void)err_set(err, ERR_MEMORY, "identity: no thread for mail");
	pthread_cond_destroy(&outbox->wake);
	pthread_mutex_destroy(&outbox->lock);
	mem_free(outbox);
	return NULL;
}

void outbox_free(struct outbox *outbox)
{
	if (!outbox)
		return;
	pthread_mutex_lock(&outbox->lock);
	outbox->ending = true;
	pthread_cond_signal(&outbox->wake);
	pthread_mutex_unlock(&outbox->lock);
	pthread_join(outbox->thread, NULL);
	pthread_cond_destroy(&outbox->wake);
	pthread_mutex_destroy(&outbox->lock);
	mem_free(outbox);
}

void outbox_read_stats(struct outbox *outbox, struct outbox_stats *stats)
{
	pthread_mutex_lock(&outbox->lock);
	*stats = (struct outbox_stats){outbox->sent, outbox->failed, outbox->count};
	pthread_mutex_unlock(&outbox->lock);
}
