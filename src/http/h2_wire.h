/*
 * h2_wire.h - what both ends of an HTTP/2 connection need: nghttp2's session tied to a stream, an
 * output queue that gathers what all exchanges send in one round of the loop, and the body
 * queues of the streams. Private to src/http.
 *
 * No fiber serves the connection itself: input is read in the loop's callback, and output leaves in
 * deferred work at the end of the round. Fibers of exchanges call nghttp2 directly, which is
 * safe because the session is never left in the middle of anything: no callback of it switches.
 * A fiber that sends has its bytes serialised at once, straight from where they are, and parks
 * when the peer's windows or the queue have no room. What fails in a fiber is only noted (`broken`);
 * the connection is taken down by `update`, in the loop.
 */
#ifndef HTTP_H2_WIRE_H
#define HTTP_H2_WIRE_H

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "base/list.h"
#include "http/h2_head.h"
#include "io/stream.h"
#include "parse/http_field.h"

/* Bytes that wait to be written before streams must wait. */
#define H2_OUT_BYTES ((size_t)64 * 1024)

struct h2_block;

struct h2_wire {
	struct stream *stream;
	nghttp2_session *session;
	struct list memory; /* of the session */
	/* Called in the loop after input or output, when the wire is broken or has nothing left. */
	void (*update)(struct h2_wire *wire);
	struct h2_head head; /* the header block under way ... */
	struct h2_stream *head_of; /* ... of this stream; NULL: it is of no interest */
	struct deferred flush;
	struct deferred again; /* more input waits than one turn takes */
	struct h2_block *out_first;
	struct h2_block *out_last;
	size_t out_bytes;
	struct list room_waiters; /* h2_stream.room_node */
	int64_t progress_ms; /* when output last moved, or was empty */
	int64_t input_ms; /* when input last came */
	int64_t ping_ms; /* when the PING was sent that awaits a sign of life; 0: none */
	uint64_t data_frames_sent;
	bool peer_gone; /* the connection was lost, or ended by the peer */
	bool broken; /* nothing goes any more; with peer_gone false GOAWAY is still owed */
	uint32_t broken_code;
};

/* One stream's part in it, and nghttp2's user data of the stream. */
struct h2_stream {
	struct h2_wire *wire;
	int32_t id;
	bool closed; /* nghttp2 has forgotten it */
	bool remote_ended; /* END_STREAM has come */
	bool head_pushed;
	bool end_pushed; /* END_STREAM is in the output queue */
	uint32_t error_code; /* of its closing */
	/* body received */
	struct h2_block *in_first;
	struct h2_block *in_last;
	size_t in_given_bytes; /* handed out by the last h2_stream_read */
	size_t in_bytes; /* queued, those handed out too */
	struct fiber *reader;
	/* body to send: the piece of the fiber that is sending */
	struct span out;
	bool out_end;
	bool out_deferred; /* nghttp2 has been told that there is nothing yet */
	const nghttp2_nv *trailers;
	size_t trailer_count;
	struct fiber *writer;
	struct list room_node;
};

/* Callbacks and options that both ends share; NULL when out of memory. */
nghttp2_session_callbacks *h2_wire_callbacks_new(void) MUST_CHECK;
nghttp2_option *h2_wire_option_new(void) MUST_CHECK;
/* For the session; it ends with the wire. */
nghttp2_mem h2_wire_memory(struct h2_wire *wire);

/* The session is made by the caller afterwards, with the wire as user data. */
void h2_wire_init(struct h2_wire *wire, struct stream *stream,
		  void (*update)(struct h2_wire *wire));
/* Frees the session and what is queued; streams must not be used any more, but for release. */
void h2_wire_release(struct h2_wire *wire);

/* To be called for every event of the watch. */
void h2_wire_event(struct h2_wire *wire, uint32_t events);
/* Reads what is there, some blocks of it, the rest in the next round. */
void h2_wire_read(struct h2_wire *wire);
/* Bytes that were read before. */
void h2_wire_feed(struct h2_wire *wire, const char *bytes, size_t len);
/* Something was given to nghttp2: it is written at the end of the round. */
static inline void h2_wire_touch(struct h2_wire *wire)
{
	if (wire->session)
		loop_defer(&wire->flush);
}
/* Notes a failure, to be told to the peer by GOAWAY. The first one counts. */
void h2_wire_break(struct h2_wire *wire, uint32_t code);
/*
 * Asks a peer that has been silent for interval_ms whether it is still there (PING, RFC 9113 section
 * 6.7), and breaks the connection when nothing at all comes within timeout_ms. To be called by a
 * timer; returns when to be called again. interval_ms 0: never asks. A peer that has yet to take what
 * was sent before is not asked: what makes it slow would hold up the PING too.
 */
int64_t h2_wire_keep_alive(struct h2_wire *wire, int64_t interval_ms, int64_t timeout_ms);
/* As the last words on a broken connection: GOAWAY behind whatever is queued, without parking. */
void h2_wire_say_goodbye(struct h2_wire *wire, int32_t last_stream_id);
/* Neither end has anything left to say. */
bool h2_wire_done(const struct h2_wire *wire);

void h2_stream_init(struct h2_stream *st, struct h2_wire *wire, int32_t id);
/* Frees what is queued and gives its bytes back to the connection's window. */
void h2_stream_release(struct h2_stream *st);
/* From on_stream_close, or when the connection is lost: wakes who waits. */
void h2_stream_close(struct h2_stream *st, uint32_t error_code);
/* nghttp2 will reset it at the end of the round. */
void h2_stream_reset(struct h2_stream *st, uint32_t code);

/* Parks until there is room to send. */
enum io_result h2_stream_wait_room(struct h2_stream *st, int64_t deadline_ms);
/*
 * After a head was submitted with NGHTTP2_NV_FLAG_NO_COPY_*: serialises up to it, so that its
 * fields are no longer needed. IO_CLOSED: it could not be sent any more.
 */
enum io_result h2_stream_push_head(struct h2_stream *st);
/* The body's source, for nghttp2_submit_response and nghttp2_submit_request. */
nghttp2_data_provider h2_stream_source(struct h2_stream *st);
/* Sends a piece, the end, or the end with trailers; parks until all is in the output queue. */
enum io_result h2_stream_send(struct h2_stream *st, struct span piece, bool end,
			      int64_t deadline_ms);
enum io_result h2_stream_send_trailers(struct h2_stream *st, const nghttp2_nv *trailers,
				       size_t count, int64_t deadline_ms);
/*
 * The next piece of the body received, valid until the next call; the peer's window opens again as
 * pieces are left behind. IO_EOF after END_STREAM; IO_CLOSED when reset or lost.
 */
enum io_result h2_stream_read(struct h2_stream *st, struct span *piece, int64_t deadline_ms);
/* The next h2_stream_read has something at once. */
static inline bool h2_stream_has_more(const struct h2_stream *st)
{
	return st->in_bytes > st->in_given_bytes;
}

/* Parks the running fiber as *waiter (reader or writer); other results than IO_OK end a wait. */
enum io_result h2_stream_park(struct fiber **waiter, int64_t deadline_ms);

/*
 * Fields as nghttp2 takes them, names in lower case, without those that HTTP/2 forbids; `to` has
 * room for `count`. Nothing is copied but names that need it, into the arena. Returns the number,
 * or SIZE_MAX when out of memory.
 */
size_t h2_fields(nghttp2_nv *to, const struct http_field *fields, size_t count,
		 struct arena *arena);
nghttp2_nv h2_field(struct span name, struct span value);

#endif
