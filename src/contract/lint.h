/*
 * lint.h - what is valid in an OpenAPI document and still unsafe: operations that anybody may call,
 * values without bounds, secrets in examples, words that mean nothing. Findings have the place in
 * the file; their subject is the operation, or the JSON Pointer of what is concerned.
 *
 * rule                                severity
 * openapi-operation-without-security  high    no `security`, of its own or the document's
 * openapi-operation-public            low     stated to be for anybody: `security: []` or `{}`
 * openapi-unknown-security-scheme     high    a scheme that components do not have
 * openapi-api-key-in-query            medium  keys in URLs end up in logs
 * openapi-basic-authentication        low     passwords with each request
 * openapi-http-server                 medium  a server without TLS that is not this machine
 * openapi-broken-schema               high    in components, not used, and cannot be compiled
 * openapi-unknown-field               medium  a misspelt word that says nothing
 * openapi-secret-in-example           high    what looks like a key, token or password
 * openapi-parameter-without-schema    medium  anything goes
 * openapi-media-without-schema        medium  JSON or a form of any shape in a request
 * openapi-body-unbounded              low     text or bytes without maxLength or
 *                                             x-sallyport-max-body
 * openapi-string-unbounded            low     in requests: no maxLength, enum, const or format of
 *                                             bounded length
 * openapi-array-unbounded             medium  in requests: no maxItems
 * openapi-integer-unbounded           low     in requests: no minimum and maximum, nor int32/int64
 * openapi-object-open                 low     in requests: additionalProperties not `false`
 * openapi-response-without-schema     low     JSON of any shape in a 2xx response
 */
#ifndef CONTRACT_LINT_H
#define CONTRACT_LINT_H

#include "base/finding.h"
#include "contract/contract.h"

/*
 * Adds what is found, in the order of the document. 0, or -1 with ERR_MEMORY. The contract's
 * schemas in components are compiled on the way, so no other thread may be using it yet.
 */
int contract_lint(struct contract *contract, struct finding_list *findings,
		  struct err *err) MUST_CHECK;

#endif
