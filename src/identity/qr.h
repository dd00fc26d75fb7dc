/* qr.h - texts as QR codes (ISO/IEC 18004), drawn as SVG within a page. Private to src/identity. */
#ifndef IDENTITY_QR_H
#define IDENTITY_QR_H

#include "base/buf.h"

/*
 * An <svg> element of black squares on white, with the quiet zone of four modules that readers need.
 * `label` is what screen readers say in place of it (plain text for an attribute). -1, with nothing of
 * use written: the text is longer than a code holds, there is no memory, or the program was built
 * without libqrencode.
 */
int qr_put(struct buf *html, struct span text, const char *label);

#endif
