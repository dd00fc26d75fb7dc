/* text.h - the texts made from the tables of commands: help, man page, shell completions. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/buf.h"
#include "cli/options.h"

/* All append to `out`; look at buf_failed() afterwards. */

/* What there is: usage, the commands with their summaries, exit statuses. */
void text_overview(struct buf *out);
/* The commands of a group, as "waf". */
void text_group(const char *group, struct buf *out);
/* The help of one command. */
void text_help(const struct command *command, struct buf *out);
/* sallyport(1), for man. */
void text_man(struct buf *out);
void text_bash(struct buf *out);
void text_zsh(struct buf *out);
void text_fish(struct buf *out);

#endif
