/* QR codes: what is drawn, and when nothing is. What a reader sees in one, identity-login asks a reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "identity/qr.h"

static void a_code_is_one_image_with_a_label(void **state)
{
	struct buf html;

	(void)state;
	buf_init(&html, 100000);
	if (qr_put(&html, SPAN("x"), "A label") < 0)
		skip();
	/* Version 1 has 21 modules, and 4 on each side are quiet. The first row starts a finder. */
	assert_true(span_starts_with(buf_span(&html),
				     SPAN("<svg role=\"img\" aria-label=\"A label\"")));
	assert_true(span_find(buf_span(&html), SPAN("viewBox=\"0 0 29 29\"")) < html.len);
	assert_true(span_find(buf_span(&html), SPAN("d=\"M4 4h7v1h-7z")) < html.len);
	assert_true(span_ends_with(buf_span(&html), SPAN("</svg>")));
	buf_release(&html);
}

static void what_does_not_fit_is_not_drawn(void **state)
{
	static char text[3000];
	struct buf html;

	(void)state;
	memset(text, 'x', sizeof(text));
	buf_init(&html, 1000000);
	assert_int_equal(qr_put(&html, span_of(text, sizeof(text)), ""), -1);
	assert_int_equal(html.len, 0);
	buf_release(&html);
	buf_init(&html, 100);
	assert_int_equal(qr_put(&html, SPAN("x"), ""), -1);
	buf_release(&html);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_is_one_image_with_a_label),
		cmocka_unit_test(what_does_not_fit_is_not_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
