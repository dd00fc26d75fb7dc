#include "identity/qr.h"

#ifdef HAVE_QRENCODE
#include <qrencode.h>

#include "base/secret.h"

#define QUIET_MODULES 4
#define IS_DARK 1 /* in a module's byte */
/* Byte mode, lowest level of correction, which is what screens need: ISO/IEC 18004 table 7. */
#define TEXT_MAX_BYTES 2953

/* Runs of dark modules of a row, each as a rectangle one module high. */
static void put_row(struct buf *html, const unsigned char *row, int width, int y)
{
	for (int x = 0; x < width; x++) {
		int run = 0;

		while (x + run < width && row[x + run] & IS_DARK)
			run++;
		if (run)
			buf_printf(html, "M%d %dh%dv1h-%dz", x + QUIET_MODULES,
				   y + QUIET_MODULES, run, run);
		x += run;
	}
}

int qr_put(struct buf *html, struct span text, const char *label)
{
	QRcode *code;
	int side;

	if (text.len > TEXT_MAX_BYTES)
		return -1;
	code = QRcode_encodeData((int)text.len, (const unsigned char *)text.ptr, 0,
				 QR_ECLEVEL_L);
	if (!code)
		return -1;
	side = code->width + 2 * QUIET_MODULES;
	buf_printf(html,
		   "<svg role=\"img\" aria-label=\"%s\" width=\"232\" height=\"232\" "
		   "viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
		   "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path fill=\"#000\" d=\"",
		   label, side, side, side, side);
	for (int y = 0; y < code->width; y++)
		put_row(html, code->data + (size_t)y * (size_t)code->width, code->width, y);
	buf_append_cstr(html, "\"/></svg>");
	/* It is the secret too. */
	secret_wipe(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
	return buf_failed(html) ? -1 : 0;
}

#else

int qr_put(struct buf *html, struct span text, const char *label)
{
	(void)html;
	(void)text;
	(void)label;
	return -1;
}

#endif
