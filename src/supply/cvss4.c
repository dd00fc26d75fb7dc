/*
 * CVSS 4.0, section 8: a vector belongs to a macro vector of six equivalence classes, whose score
 * is known; how far the vector lies below the worst of its class lowers that score by a part of the
 * distance to the next class.
 */
#include <math.h>

#include "supply/cvss_internal.h"

enum {
	AV,
	AC,
	AT,
	PR,
	UI,
	VC,
	VI,
	VA,
	SC,
	SI,
	SA,
	E,
	CR,
	IR,
	AR,
	MAV,
	MAC,
	MAT,
	MPR,
	MUI,
	MVC,
	MVI,
	MVA,
	MSC,
	MSI,
	MSA,
	S,
	AU,
	R,
	V,
	RE,
	U
};

/* Values from the worst to the least, so that a value is also its distance from the worst. */
static const struct cvss_metric metrics_table[] = {
	[AV] = {SPAN_INIT("AV"), SPAN_INIT("N A L P"), true},
	[AC] = {SPAN_INIT("AC"), SPAN_INIT("L H"), true},
	[AT] = {SPAN_INIT("AT"), SPAN_INIT("N P"), true},
	[PR] = {SPAN_INIT("PR"), SPAN_INIT("N L H"), true},
	[UI] = {SPAN_INIT("UI"), SPAN_INIT("N P A"), true},
	[VC] = {SPAN_INIT("VC"), SPAN_INIT("H L N"), true},
	[VI] = {SPAN_INIT("VI"), SPAN_INIT("H L N"), true},
	[VA] = {SPAN_INIT("VA"), SPAN_INIT("H L N"), true},
	/* No value is S here: it stands for the safety that only the modified metrics have. */
	[SC] = {SPAN_INIT("SC"), SPAN_INIT("- H L N"), true},
	[SI] = {SPAN_INIT("SI"), SPAN_INIT("- H L N"), true},
	[SA] = {SPAN_INIT("SA"), SPAN_INIT("- H L N"), true},
	[E] = {SPAN_INIT("E"), SPAN_INIT("A P U X"), false},
	[CR] = {SPAN_INIT("CR"), SPAN_INIT("H M L X"), false},
	[IR] = {SPAN_INIT("IR"), SPAN_INIT("H M L X"), false},
	[AR] = {SPAN_INIT("AR"), SPAN_INIT("H M L X"), false},
	[MAV] = {SPAN_INIT("MAV"), SPAN_INIT("N A L P X"), false},
	[MAC] = {SPAN_INIT("MAC"), SPAN_INIT("L H X"), false},
	[MAT] = {SPAN_INIT("MAT"), SPAN_INIT("N P X"), false},
	[MPR] = {SPAN_INIT("MPR"), SPAN_INIT("N L H X"), false},
	[MUI] = {SPAN_INIT("MUI"), SPAN_INIT("N P A X"), false},
	[MVC] = {SPAN_INIT("MVC"), SPAN_INIT("H L N X"), false},
	[MVI] = {SPAN_INIT("MVI"), SPAN_INIT("H L N X"), false},
	[MVA] = {SPAN_INIT("MVA"), SPAN_INIT("H L N X"), false},
	[MSC] = {SPAN_INIT("MSC"), SPAN_INIT("- H L N X"), false},
	[MSI] = {SPAN_INIT("MSI"), SPAN_INIT("S H L N X"), false},
	[MSA] = {SPAN_INIT("MSA"), SPAN_INIT("S H L N X"), false},
	[S] = {SPAN_INIT("S"), SPAN_INIT("X N P"), false},
	[AU] = {SPAN_INIT("AU"), SPAN_INIT("X N Y"), false},
	[R] = {SPAN_INIT("R"), SPAN_INIT("X A U I"), false},
	[V] = {SPAN_INIT("V"), SPAN_INIT("X D C"), false},
	[RE] = {SPAN_INIT("RE"), SPAN_INIT("X L M H"), false},
	[U] = {SPAN_INIT("U"), SPAN_INIT("X Clear Green Amber Red"), false},
};

/* By equivalence classes 1, 2, 3 with 6, 4, 5; 0 where a class cannot be. */
static const unsigned char scores[3][2][3][3][3][2] = {
	{
		{
			{
				{{100, 99}, {98, 95}, {95, 92}},
				{{100, 96}, {93, 87}, {91, 81}},
				{{93, 90}, {89, 80}, {81, 68}},
			},
			{
				{{98, 95}, {95, 92}, {90, 84}},
				{{93, 92}, {89, 81}, {81, 65}},
				{{88, 80}, {78, 70}, {69, 48}},
			},
			{
				{{0, 92}, {0, 82}, {0, 72}},
				{{0, 79}, {0, 69}, {0, 50}},
				{{0, 69}, {0, 55}, {0, 27}},
			},
		},
		{
			{
				{{99, 97}, {95, 92}, {92, 85}},
				{{95, 91}, {90, 83}, {84, 71}},
				{{92, 81}, {82, 71}, {72, 53}},
			},
			{
				{{95, 93}, {92, 85}, {85, 73}},
				{{92, 82}, {80, 72}, {70, 59}},
				{{84, 70}, {71, 52}, {50, 30}},
			},
			{
				{{0, 86}, {0, 75}, {0, 52}},
				{{0, 71}, {0, 52}, {0, 29}},
				{{0, 63}, {0, 29}, {0, 17}},
			},
		},
	},
	{
		{
			{
				{{98, 95}, {94, 87}, {91, 81}},
				{{94, 89}, {86, 74}, {77, 64}},
				{{87, 75}, {74, 63}, {63, 49}},
			},
			{
				{{94, 89}, {88, 77}, {76, 67}},
				{{86, 76}, {74, 58}, {59, 50}},
				{{72, 57}, {57, 52}, {52, 25}},
			},
			{
				{{0, 83}, {0, 70}, {0, 54}},
				{{0, 65}, {0, 58}, {0, 26}},
				{{0, 53}, {0, 21}, {0, 13}},
			},
		},
		{
			{
				{{95, 90}, {88, 76}, {76, 70}},
				{{90, 77}, {75, 62}, {61, 53}},
				{{77, 66}, {68, 59}, {52, 30}},
			},
			{
				{{89, 78}, {76, 67}, {62, 58}},
				{{74, 59}, {57, 57}, {47, 23}},
				{{61, 52}, {57, 29}, {24, 16}},
			},
			{
				{{0, 71}, {0, 59}, {0, 30}},
				{{0, 58}, {0, 26}, {0, 15}},
				{{0, 23}, {0, 13}, {0, 6}},
			},
		},
	},
	{
		{
			{
				{{93, 87}, {86, 72}, {75, 58}},
				{{86, 74}, {74, 61}, {56, 34}},
				{{70, 54}, {52, 40}, {40, 22}},
			},
			{
				{{85, 75}, {74, 55}, {62, 51}},
				{{72, 57}, {55, 41}, {46, 19}},
				{{53, 36}, {34, 19}, {19, 8}},
			},
			{
				{{0, 64}, {0, 51}, {0, 20}},
				{{0, 47}, {0, 21}, {0, 11}},
				{{0, 24}, {0, 9}, {0, 4}},
			},
		},
		{
			{
				{{88, 75}, {73, 53}, {60, 50}},
				{{73, 55}, {59, 40}, {41, 20}},
				{{54, 43}, {45, 22}, {20, 11}},
			},
			{
				{{75, 55}, {58, 45}, {40, 21}},
				{{61, 51}, {48, 18}, {20, 9}},
				{{46, 18}, {17, 7}, {8, 2}},
			},
			{
				{{0, 53}, {0, 24}, {0, 14}},
				{{0, 24}, {0, 12}, {0, 5}},
				{{0, 10}, {0, 3}, {0, 1}},
			},
		},
	},
};

/* Modified metrics in place of base metrics, the worst where nothing is known. */
static void take_effective(struct cvss_values *v)
{
	static const unsigned char undefined[] = {4, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4};

	for (unsigned i = AV; i <= SA; i++)
		if (v->at[MAV + i] < undefined[i])
			v->at[i] = v->at[MAV + i];
	for (unsigned i = E; i <= AR; i++)
		if (v->at[i] >= 3)
			v->at[i] = 0;
}

struct classes {
	unsigned eq1, eq2, eq3, eq4, eq5, eq6;
};

static struct classes classify(const struct cvss_values *v)
{
	const unsigned char *m = v->at;
	struct classes c = {0};
	unsigned none = (unsigned)(m[AV] == 0) + (m[PR] == 0) + (m[UI] == 0);

	if (none == 3)
		c.eq1 = 0;
	else
		c.eq1 = none > 0 && m[AV] != 3 ? 1 : 2;
	c.eq2 = m[AC] == 0 && m[AT] == 0 ? 0 : 1;
	if (m[VC] == 0 && m[VI] == 0)
		c.eq3 = 0;
	else
		c.eq3 = m[VC] == 0 || m[VI] == 0 || m[VA] == 0 ? 1 : 2;
	if (m[SI] == 0 || m[SA] == 0)
		c.eq4 = 0;
	else
		c.eq4 = m[SC] == 1 || m[SI] == 1 || m[SA] == 1 ? 1 : 2;
	c.eq5 = m[E];
	c.eq6 = (m[CR] == 0 && m[VC] == 0) || (m[IR] == 0 && m[VI] == 0) ||
				(m[AR] == 0 && m[VA] == 0)
			? 0
			: 1;
	return c;
}

/* The score of a macro vector in tenths, or -1 when there is no such class. */
static int score_of(unsigned eq1, unsigned eq2, unsigned eq3, unsigned eq4, unsigned eq5,
		    unsigned eq6)
{
	if (eq1 > 2 || eq2 > 1 || eq3 > 2 || eq4 > 2 || eq5 > 2 || eq6 > 1 ||
	    scores[eq1][eq2][eq3][eq4][eq5][eq6] == 0)
		return -1;
	return scores[eq1][eq2][eq3][eq4][eq5][eq6];
}

struct worst {
	unsigned char at[6]; /* values of the metrics of its class */
};

/* How many steps the metrics lie below the first of the worst vectors that is not below them. */
static unsigned distance(const struct cvss_values *v, const unsigned char *metrics,
			 size_t count, const struct worst *worst, size_t worst_count)
{
	for (size_t w = 0; w < worst_count; w++) {
		unsigned steps = 0;
		bool below = true;

		for (size_t i = 0; i < count; i++) {
			unsigned value = v->at[metrics[i]];

			below = below && value >= worst[w].at[i];
			steps += value - worst[w].at[i];
		}
		if (below)
			return steps;
	}
	return 0;
}

/* The part of the way to the next lower class that a vector has gone. */
static double share(int score, int lower, unsigned steps, unsigned steps_max, unsigned *classes)
{
	if (lower < 0)
		return 0;
	(*classes)++;
	return (double)(score - lower) * steps / steps_max;
}

static unsigned distance_eq1(const struct cvss_values *v, unsigned eq1)
{
	static const unsigned char metrics[] = {AV, PR, UI};
	static const struct worst worst[3][3] = {
		{{{0, 0, 0}}},
		{{{1, 0, 0}}, {{0, 1, 0}}, {{0, 0, 1}}},
		{{{3, 0, 0}}, {{1, 1, 1}}},
	};
	static const size_t counts[] = {1, 3, 2};

	return distance(v, metrics, 3, worst[eq1], counts[eq1]);
}

static unsigned distance_eq2(const struct cvss_values *v, unsigned eq2)
{
	static const unsigned char metrics[] = {AC, AT};
	static const struct worst worst[2][2] = {{{{0, 0}}}, {{{1, 0}}, {{0, 1}}}};
	static const size_t counts[] = {1, 2};

	return distance(v, metrics, 2, worst[eq2], counts[eq2]);
}

static unsigned distance_eq3_eq6(const struct cvss_values *v, unsigned eq3, unsigned eq6)
{
	static const unsigned char metrics[] = {VC, VI, VA, CR, IR, AR};
	static const struct worst worst[3][2][5] = {
		{{{{0, 0, 0, 0, 0, 0}}}, {{{0, 0, 1, 1, 1, 0}}, {{0, 0, 0, 1, 1, 1}}}},
		{{{{1, 0, 0, 0, 0, 0}}, {{0, 1, 0, 0, 0, 0}}},
		 {{{1, 0, 1, 0, 1, 0}},
		  {{1, 0, 0, 0, 1, 1}},
		  {{0, 1, 0, 1, 0, 1}},
		  {{0, 1, 1, 1, 0, 0}},
		  {{1, 1, 0, 0, 0, 1}}}},
		{{{{0, 0, 0, 0, 0, 0}}}, {{{1, 1, 1, 0, 0, 0}}}},
	};
	static const size_t counts[3][2] = {{1, 2}, {2, 5}, {0, 1}};

	return distance(v, metrics, 6, worst[eq3][eq6], counts[eq3][eq6]);
}

static unsigned distance_eq4(const struct cvss_values *v, unsigned eq4)
{
	static const unsigned char metrics[] = {SC, SI, SA};
	static const struct worst worst[3] = {{{1, 0, 0}}, {{1, 1, 1}}, {{2, 2, 2}}};

	return distance(v, metrics, 3, &worst[eq4], 1);
}

/* Classes 3 and 6 go down together; from the highest there are two ways, the higher one counts. */
static int lower_eq3_eq6(const struct classes *c)
{
	int right = score_of(c->eq1, c->eq2, c->eq3 + 1, c->eq4, c->eq5, c->eq6);
	int down = score_of(c->eq1, c->eq2, c->eq3, c->eq4, c->eq5, c->eq6 + 1);

	if (c->eq6 == 1)
		return right;
	if (c->eq3 == 1)
		return down;
	return right > down ? right : down;
}

static unsigned score_vector(const struct cvss_values *v)
{
	static const unsigned steps_eq1[] = {1, 4, 5}, steps_eq2[] = {1, 2},
			      steps_eq4[] = {6, 5, 4},
			      steps_eq3_eq6[3][2] = {{7, 6}, {8, 8}, {10, 10}};
	struct classes c = classify(v);
	int score = score_of(c.eq1, c.eq2, c.eq3, c.eq4, c.eq5, c.eq6);
	unsigned classes = 0;
	double lowered = 0;

	lowered += share(score, score_of(c.eq1 + 1, c.eq2, c.eq3, c.eq4, c.eq5, c.eq6),
			 distance_eq1(v, c.eq1), steps_eq1[c.eq1], &classes);
	lowered += share(score, score_of(c.eq1, c.eq2 + 1, c.eq3, c.eq4, c.eq5, c.eq6),
			 distance_eq2(v, c.eq2), steps_eq2[c.eq2], &classes);
	lowered += share(score, lower_eq3_eq6(&c), distance_eq3_eq6(v, c.eq3, c.eq6),
			 steps_eq3_eq6[c.eq3][c.eq6], &classes);
	lowered += share(score, score_of(c.eq1, c.eq2, c.eq3, c.eq4 + 1, c.eq5, c.eq6),
			 distance_eq4(v, c.eq4), steps_eq4[c.eq4], &classes);
	/* Class 5 has one metric: nothing lies between its classes. */
	lowered += share(score, score_of(c.eq1, c.eq2, c.eq3, c.eq4, c.eq5 + 1, c.eq6), 0, 1,
			 &classes);
	if (classes)
		lowered /= classes;
	return (unsigned)floor(fmax(0, score - lowered) + 0.5 + 1e-6);
}

enum cvss_result cvss4_read(struct span metrics, struct cvss *cvss)
{
	struct cvss_values v;
	enum cvss_result result =
		cvss_metrics_read(metrics, metrics_table, COUNT_OF(metrics_table), &v);

	if (result != CVSS_OK)
		return result;
	/* "-" only holds a place among the values. */
	if (v.at[SC] == 0 || v.at[SI] == 0 || v.at[SA] == 0 || v.at[MSC] == 0)
		return CVSS_BAD_VALUE;
	take_effective(&v);
	if (v.at[VC] == 2 && v.at[VI] == 2 && v.at[VA] == 2 && v.at[SC] == 3 && v.at[SI] == 3 &&
	    v.at[SA] == 3)
		cvss->score_tenths = 0;
	else
		cvss->score_tenths = score_vector(&v);
	cvss->base_tenths = cvss->score_tenths;
	return CVSS_OK;
}
