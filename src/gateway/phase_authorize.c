/* authorize: may this identity use this operation? What is not granted is refused. */
#include "gateway/ips.h"
#include "gateway/validate.h"

HOT enum phase_result phase_authorize(struct exchange *e)
{
	enum access_result result;
	bool unauthenticated;

	if (UNLIKELY(e->snapshot->ips) && ips_refuses_identity(e))
		return ips_refuse(e);
	result = access_check(e->route->access, e->worker->auth, e->identity);
	unauthenticated = result == ACCESS_UNAUTHENTICATED;
	if (result == ACCESS_GRANTED)
		return validate_security(e);
	e->reason = access_result_word(result);
	/* RFC 6750 section 3; a login of a browser has no scheme that could be told. */
	if (result != ACCESS_FORBIDDEN || e->identity->kind != IDENTITY_SESSION)
		exchange_add_field(e, SPAN("www-authenticate"),
				   access_challenge(e->snapshot->authenticator,
						    e->route->access, result, &e->x->arena));
	return answer_problem(e, unauthenticated ? 401 : 403,
			      unauthenticated ? "unauthenticated" : "forbidden", NULL);
}
