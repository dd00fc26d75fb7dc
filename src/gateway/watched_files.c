#include "gateway/watched_files.h"

#include <sys/stat.h>

#include "base/hash.h"

static uint64_t state_of(struct span path)
{
	struct stat st;

	/* Spans of a configuration end in NUL. */
	if (stat(path.ptr, &st) < 0)
		return 1;
	return hash_mix(hash_mix(hash_mix((uint64_t)st.st_dev, (uint64_t)st.st_ino),
				 hash_mix((uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec)),
			(uint64_t)st.st_mtim.tv_nsec);
}

uint64_t watched_files_state(const struct config *cfg)
{
	uint64_t state = 0;

	for (size_t i = 0; i < cfg->services.count; i++) {
		struct span path = cfg->services.at[i].endpoints_file;

		if (path.len)
			state = hash_mix(state, state_of(path)) | 1;
	}
	return state;
}
