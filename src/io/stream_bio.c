#include "io/stream_bio.h"

#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

HOT static int bio_read(BIO *bio, char *to, size_t size, size_t *got)
{
	struct stream *stream = BIO_get_data(bio);
	enum io_result result = stream_recv(stream, to, size, got);

	BIO_clear_retry_flags(bio);
	if (result == IO_OK)
		return 1;
	if (result == IO_AGAIN)
		BIO_set_retry_read(bio);
	if (result == IO_EOF)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return 0;
}

HOT static int bio_write(BIO *bio, const char *from, size_t size, size_t *put)
{
	struct stream *stream = BIO_get_data(bio);
	enum io_result result = stream_send(stream, from, size, put);

	BIO_clear_retry_flags(bio);
	if (result == IO_OK)
		return 1;
	if (result == IO_AGAIN)
		BIO_set_retry_write(bio);
	return 0;
}

HOT static long bio_control(BIO *bio, int command, long number, void *ptr)
{
	(void)number;
	(void)ptr;
	switch (command) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default: return 0;
	}
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void make_method(void)
{
	BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (!made)
		return;
	BIO_meth_set_read_ex(made, bio_read);
	BIO_meth_set_write_ex(made, bio_write);
	BIO_meth_set_ctrl(made, bio_control);
	BIO_meth_set_create(made, bio_create);
	method = made;
}

BIO *stream_bio_new(struct stream *stream)
{
	BIO *bio;

	pthread_once(&method_once, make_method);
	bio = method ? BIO_new(method) : NULL;
	if (bio)
		BIO_set_data(bio, stream);
	return bio;
}
