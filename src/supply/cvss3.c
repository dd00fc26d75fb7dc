/* CVSS 2.0 (section 3.2) and 3.x (section 7 of the specification documents). */
#include <math.h>

#include "supply/cvss_internal.h"

/* A metric's weight; `absent` where it is not given. */
static double weight(const struct cvss_values *v, unsigned metric, const double *weights,
		     double absent)
{
	return v->at[metric] == CVSS_ABSENT ? absent : weights[v->at[metric]];
}

/* The number of values that a metric of a table may have. */
static unsigned count_values(const struct cvss_metric *metric)
{
	struct span words = metric->values;
	unsigned count = 0;

	while (words.ptr) {
		(void)span_cut(&words, ' ');
		count++;
	}
	return count;
}

/* Does one of these metrics say more than "not defined", which is the last value of each? */
static bool is_given(const struct cvss_values *v, const struct cvss_metric *table,
		     unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		if (v->at[i] != CVSS_ABSENT && v->at[i] + 1u < count_values(&table[i]))
			return true;
	return false;
}

/* --- 2.0 */

enum {
	V2_AV,
	V2_AC,
	V2_AU,
	V2_C,
	V2_I,
	V2_A,
	V2_E,
	V2_RL,
	V2_RC,
	V2_CDP,
	V2_TD,
	V2_CR,
	V2_IR,
	V2_AR
};

static const struct cvss_metric v2_metrics[] = {
	[V2_AV] = {SPAN_INIT("AV"), SPAN_INIT("L A N"), true},
	[V2_AC] = {SPAN_INIT("AC"), SPAN_INIT("H M L"), true},
	[V2_AU] = {SPAN_INIT("Au"), SPAN_INIT("M S N"), true},
	[V2_C] = {SPAN_INIT("C"), SPAN_INIT("N P C"), true},
	[V2_I] = {SPAN_INIT("I"), SPAN_INIT("N P C"), true},
	[V2_A] = {SPAN_INIT("A"), SPAN_INIT("N P C"), true},
	[V2_E] = {SPAN_INIT("E"), SPAN_INIT("U POC F H ND"), false},
	[V2_RL] = {SPAN_INIT("RL"), SPAN_INIT("OF TF W U ND"), false},
	[V2_RC] = {SPAN_INIT("RC"), SPAN_INIT("UC UR C ND"), false},
	[V2_CDP] = {SPAN_INIT("CDP"), SPAN_INIT("N L LM MH H ND"), false},
	[V2_TD] = {SPAN_INIT("TD"), SPAN_INIT("N L M H ND"), false},
	[V2_CR] = {SPAN_INIT("CR"), SPAN_INIT("L M H ND"), false},
	[V2_IR] = {SPAN_INIT("IR"), SPAN_INIT("L M H ND"), false},
	[V2_AR] = {SPAN_INIT("AR"), SPAN_INIT("L M H ND"), false},
};

static double round_tenths(double score)
{
	return floor(score * 10 + 0.5 + 1e-9) / 10;
}

/* The formulas of 2.0 may fall below 0. */
static unsigned to_tenths(double score)
{
	return score > 0 ? (unsigned)(score * 10 + 0.5) : 0;
}

static double v2_base(const struct cvss_values *v, double impact)
{
	static const double av[] = {0.395, 0.646, 1.0}, ac[] = {0.35, 0.61, 0.71},
			    au[] = {0.45, 0.56, 0.704};
	double exploitability = 20 * weight(v, V2_AC, ac, 0) * weight(v, V2_AU, au, 0) *
				weight(v, V2_AV, av, 0);

	if (impact <= 0)
		return 0;
	return round_tenths((0.6 * impact + 0.4 * exploitability - 1.5) * 1.176);
}

static double v2_impact(const struct cvss_values *v, double cr, double ir, double ar)
{
	static const double impacts[] = {0, 0.275, 0.660};

	return 10.41 * (1 - (1 - cr * weight(v, V2_C, impacts, 0)) *
				    (1 - ir * weight(v, V2_I, impacts, 0)) *
				    (1 - ar * weight(v, V2_A, impacts, 0)));
}

static double v2_temporal(const struct cvss_values *v, double base)
{
	static const double e[] = {0.85, 0.9, 0.95, 1, 1}, rl[] = {0.87, 0.90, 0.95, 1, 1},
			    rc[] = {0.90, 0.95, 1, 1};

	return round_tenths(base * weight(v, V2_E, e, 1) * weight(v, V2_RL, rl, 1) *
			    weight(v, V2_RC, rc, 1));
}

enum cvss_result cvss2_read(struct span metrics, struct cvss *cvss)
{
	static const double requirement[] = {0.5, 1, 1.51, 1}, td[] = {0, 0.25, 0.75, 1, 1},
			    cdp[] = {0, 0.1, 0.3, 0.4, 0.5, 0};
	struct cvss_values v;
	enum cvss_result result =
		cvss_metrics_read(metrics, v2_metrics, COUNT_OF(v2_metrics), &v);
	double base, score;

	if (result != CVSS_OK)
		return result;
	base = v2_base(&v, v2_impact(&v, 1, 1, 1));
	score = v2_temporal(&v, base);
	if (is_given(&v, v2_metrics, V2_CDP, V2_AR)) {
		double impact = fmin(10, v2_impact(&v, weight(&v, V2_CR, requirement, 1),
						   weight(&v, V2_IR, requirement, 1),
						   weight(&v, V2_AR, requirement, 1)));

		score = v2_temporal(&v, v2_base(&v, impact));
		score = round_tenths((score + (10 - score) * weight(&v, V2_CDP, cdp, 0)) *
				     weight(&v, V2_TD, td, 1));
	}
	cvss->base_tenths = to_tenths(base);
	cvss->score_tenths = to_tenths(score);
	return CVSS_OK;
}

/* --- 3.0 and 3.1 */

enum {
	V3_AV,
	V3_AC,
	V3_PR,
	V3_UI,
	V3_S,
	V3_C,
	V3_I,
	V3_A,
	V3_E,
	V3_RL,
	V3_RC,
	V3_CR,
	V3_IR,
	V3_AR,
	V3_MAV,
	V3_MAC,
	V3_MPR,
	V3_MUI,
	V3_MS,
	V3_MC,
	V3_MI,
	V3_MA
};

static const struct cvss_metric v3_metrics[] = {
	[V3_AV] = {SPAN_INIT("AV"), SPAN_INIT("N A L P"), true},
	[V3_AC] = {SPAN_INIT("AC"), SPAN_INIT("L H"), true},
	[V3_PR] = {SPAN_INIT("PR"), SPAN_INIT("N L H"), true},
	[V3_UI] = {SPAN_INIT("UI"), SPAN_INIT("N R"), true},
	[V3_S] = {SPAN_INIT("S"), SPAN_INIT("U C"), true},
	[V3_C] = {SPAN_INIT("C"), SPAN_INIT("N L H"), true},
	[V3_I] = {SPAN_INIT("I"), SPAN_INIT("N L H"), true},
	[V3_A] = {SPAN_INIT("A"), SPAN_INIT("N L H"), true},
	[V3_E] = {SPAN_INIT("E"), SPAN_INIT("U P F H X"), false},
	[V3_RL] = {SPAN_INIT("RL"), SPAN_INIT("O T W U X"), false},
	[V3_RC] = {SPAN_INIT("RC"), SPAN_INIT("U R C X"), false},
	[V3_CR] = {SPAN_INIT("CR"), SPAN_INIT("L M H X"), false},
	[V3_IR] = {SPAN_INIT("IR"), SPAN_INIT("L M H X"), false},
	[V3_AR] = {SPAN_INIT("AR"), SPAN_INIT("L M H X"), false},
	[V3_MAV] = {SPAN_INIT("MAV"), SPAN_INIT("N A L P X"), false},
	[V3_MAC] = {SPAN_INIT("MAC"), SPAN_INIT("L H X"), false},
	[V3_MPR] = {SPAN_INIT("MPR"), SPAN_INIT("N L H X"), false},
	[V3_MUI] = {SPAN_INIT("MUI"), SPAN_INIT("N R X"), false},
	[V3_MS] = {SPAN_INIT("MS"), SPAN_INIT("U C X"), false},
	[V3_MC] = {SPAN_INIT("MC"), SPAN_INIT("N L H X"), false},
	[V3_MI] = {SPAN_INIT("MI"), SPAN_INIT("N L H X"), false},
	[V3_MA] = {SPAN_INIT("MA"), SPAN_INIT("N L H X"), false},
};

/* Appendix A of 3.1: up to one decimal, untouched by how doubles represent it. */
static double v3_roundup(double score)
{
	long units = lround(score * 100000);
	long tenths = units / 10000 + (units % 10000 != 0);

	return (double)tenths / 10;
}

/* With the modified metrics in place of the base metrics. */
static double v3_exploitability(const struct cvss_values *v, bool changed)
{
	static const double av[] = {0.85, 0.62, 0.55, 0.2}, ac[] = {0.77, 0.44},
			    ui[] = {0.85, 0.62}, same[] = {0.85, 0.62, 0.27},
			    other[] = {0.85, 0.68, 0.5};

	return 8.22 * weight(v, V3_AV, av, 0) * weight(v, V3_AC, ac, 0) *
	       weight(v, V3_PR, changed ? other : same, 0) * weight(v, V3_UI, ui, 0);
}

static double v3_loss(const struct cvss_values *v, bool environmental)
{
	static const double impacts[] = {0, 0.22, 0.56}, requirement[] = {0.5, 1, 1.5, 1};
	double cr = environmental ? weight(v, V3_CR, requirement, 1) : 1;
	double ir = environmental ? weight(v, V3_IR, requirement, 1) : 1;
	double ar = environmental ? weight(v, V3_AR, requirement, 1) : 1;

	return 1 - (1 - cr * weight(v, V3_C, impacts, 0)) *
			   (1 - ir * weight(v, V3_I, impacts, 0)) *
			   (1 - ar * weight(v, V3_A, impacts, 0));
}

static double v3_score(const struct cvss_values *v, bool environmental, bool is_3_1)
{
	bool changed = v->at[V3_S] == 1;
	double loss = v3_loss(v, environmental), impact, sum;

	if (environmental)
		loss = fmin(loss, 0.915);
	if (!changed)
		impact = 6.42 * loss;
	else if (environmental && is_3_1)
		impact = 7.52 * (loss - 0.029) - 3.25 * pow(loss * 0.9731 - 0.02, 13);
	else
		impact = 7.52 * (loss - 0.029) - 3.25 * pow(loss - 0.02, 15);
	if (impact <= 0)
		return 0;
	sum = impact + v3_exploitability(v, changed);
	return v3_roundup(fmin(changed ? 1.08 * sum : sum, 10));
}

/* The modified metrics, where given, in place of the base metrics. */
static struct cvss_values v3_modified(const struct cvss_values *v)
{
	struct cvss_values modified = *v;

	for (unsigned i = 0; i <= V3_A; i++) {
		unsigned char value = v->at[V3_MAV + i];

		/* The value behind those of the base metric is X, not defined. */
		if (value < count_values(&v3_metrics[i]))
			modified.at[i] = value;
	}
	return modified;
}

enum cvss_result cvss3_read(struct span metrics, struct cvss *cvss)
{
	static const double e[] = {0.91, 0.94, 0.97, 1, 1}, rl[] = {0.95, 0.96, 0.97, 1, 1},
			    rc[] = {0.92, 0.96, 1, 1};
	struct cvss_values v;
	enum cvss_result result =
		cvss_metrics_read(metrics, v3_metrics, COUNT_OF(v3_metrics), &v);
	double base, score, temporal;

	if (result != CVSS_OK)
		return result;
	temporal = weight(&v, V3_E, e, 1) * weight(&v, V3_RL, rl, 1) * weight(&v, V3_RC, rc, 1);
	base = v3_score(&v, false, cvss->version == CVSS_3_1);
	score = base;
	if (is_given(&v, v3_metrics, V3_CR, V3_MA)) {
		struct cvss_values modified = v3_modified(&v);

		score = v3_score(&modified, true, cvss->version == CVSS_3_1);
	}
	cvss->base_tenths = to_tenths(base);
	cvss->score_tenths = to_tenths(v3_roundup(score * temporal));
	return CVSS_OK;
}
