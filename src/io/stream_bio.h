/* stream_bio.h - OpenSSL's view of a stream's socket. Private to src/io. */
#ifndef IO_STREAM_BIO_H
#define IO_STREAM_BIO_H

#include "io/stream.h"

/* A BIO that reads and writes the stream's descriptor; NULL when out of memory. */
BIO *stream_bio_new(struct stream *stream);

/* One recv or send on the descriptor, remembering readiness; never parks. */
enum io_result stream_recv(struct stream *stream, void *to, size_t size, size_t *got);
enum io_result stream_send(struct stream *stream, const void *from, size_t size, size_t *put);

#endif
