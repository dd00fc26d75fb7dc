#include "identity/acr.h"

static const char *const names[] = {[IDP_ACR_NONE] = "",
				    [IDP_ACR_PWD] = "pwd",
				    [IDP_ACR_MFA] = "mfa",
				    [IDP_ACR_PHR] = "phr"};

static bool have(const struct config_strings *methods, const char *method)
{
	for (size_t i = 0; i < methods->count; i++)
		if (span_eq(methods->at[i], span_cstr(method)))
			return true;
	return false;
}

enum idp_acr idp_acr_of(const struct config_strings *methods)
{
	bool first = have(methods, "pwd") || have(methods, "fed");

	if (have(methods, "pop") && have(methods, "user"))
		return IDP_ACR_PHR;
	if (first && (have(methods, "otp") || have(methods, "sms") || have(methods, "pop")))
		return IDP_ACR_MFA;
	return methods->count ? IDP_ACR_PWD : IDP_ACR_NONE;
}

const char *idp_acr_name(enum idp_acr acr)
{
	return names[acr];
}

enum idp_acr idp_acr_find(struct span name)
{
	for (enum idp_acr acr = IDP_ACR_PWD; acr <= IDP_ACR_PHR; acr++)
		if (span_eq(name, span_cstr(names[acr])))
			return acr;
	return IDP_ACR_NONE;
}

enum idp_acr idp_acr_wanted(struct span acr_values)
{
	enum idp_acr least = IDP_ACR_NONE;

	while (acr_values.ptr) {
		enum idp_acr acr = idp_acr_find(span_cut(&acr_values, ' '));

		if (acr != IDP_ACR_NONE && (least == IDP_ACR_NONE || acr < least))
			least = acr;
	}
	return least;
}
