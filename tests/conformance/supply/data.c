#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

void data_folder(const char *project, char *path, size_t size)
{
	const char *given = getenv("SALLYPORT_TEST_DATA");

	if (given && given[0])
		snprintf(path, size, "%s", given);
	else
		snprintf(path, size, "%s/../shared/data", project);
}

bool data_read(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "rb");
	char piece[65536];
	size_t got;
	bool failed;

	if (!file)
		return false;
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(to, piece, got);
	failed = ferror(file) || buf_failed(to);
	fclose(file);
	return !failed;
}

bool data_read_zstd(const char *path, struct buf *to)
{
	struct buf packed;
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_inBuffer in = {0};
	size_t left = 1;
	char piece[65536];

	buf_init(&packed, (size_t)256 << 20);
	if (!context || !data_read(path, &packed))
		goto out;
	in = (ZSTD_inBuffer){packed.ptr, packed.len, 0};
	while (in.pos < in.size) {
		ZSTD_outBuffer out = {piece, sizeof(piece), 0};

		left = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(left))
			break;
		buf_append_bytes(to, piece, out.pos);
	}
out:
	ZSTD_freeDCtx(context);
	buf_release(&packed);
	return left == 0 && !buf_failed(to);
}
