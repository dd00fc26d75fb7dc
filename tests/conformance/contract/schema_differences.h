/* {draft, file, group, test, reason}, for schema_suite_test.c. */
#define CODE_POINTS                                                                            \
	"IDNA 2008 decides by tables of code points, by context and after Punycode; we look "  \
	"at letters, hyphens and lengths"
#define CONTENT "what is in a string is annotation for us, as for 2019-09 and later"

{ALL_DRAFTS, "optional/format/idn-hostname.json", NULL, NULL, CODE_POINTS},
	{ALL_DRAFTS, "optional/format/hostname.json", NULL, NULL, CODE_POINTS},
	{"draft7", "optional/content.json", NULL, NULL, CONTENT},
