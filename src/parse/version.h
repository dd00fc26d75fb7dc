/*
 * version.h - the order of versions, as each ecosystem defines it. Pure functions on spans: nothing
 * is allocated or copied, numbers may have any number of digits, and every text is accepted; what an
 * ecosystem would refuse still has a fixed place. All orders are total, but for two whose own
 * definitions are not: Packagist's with the component "#", which equals any number, and Maven's
 * with a word behind ".", which sorts before words behind "-", while of these some sort before and
 * some after the bare version.
 */
#ifndef PARSE_VERSION_H
#define PARSE_VERSION_H

#include "base/span.h"

enum version_order {
	/* No order is known: versions are equal when their bytes are, else sorted as bytes. */
	VERSION_ORDER_BYTES,
	/* SemVer 2.0.0 section 11; a "v", more or fewer than three numbers are accepted. */
	VERSION_ORDER_SEMVER,
	/* As SemVer, with the names of Go's own releases ("go1.21rc2") and "+incompatible". */
	VERSION_ORDER_GO,
	/* As SemVer, but build metadata counts, as Dart's package pub_semver defines. */
	VERSION_ORDER_PUB,
	/* SemVer with four numbers, letters compared without case. */
	VERSION_ORDER_NUGET,
	/* PEP 440; what it does not allow sorts before, as by the older setuptools. */
	VERSION_ORDER_PEP440,
	/* "Version Order Specification" of Maven's POM reference, as ComparableVersion has it. */
	VERSION_ORDER_MAVEN,
	/* deb-version(7): epoch, upstream version, revision. */
	VERSION_ORDER_DPKG,
	/* apk-tools 3, `apk version -t`. */
	VERSION_ORDER_APK,
	/* rpm-version(7): epoch, version, release, with "~" and "^". */
	VERSION_ORDER_RPM,
	/* Gem::Version. */
	VERSION_ORDER_RUBYGEMS,
	/* PHP's version_compare() after Composer's leading "v" has gone. */
	VERSION_ORDER_PACKAGIST,
	/* R's package_version(): numbers between "." and "-". */
	VERSION_ORDER_CRAN,
};
#define VERSION_ORDERS 13

/* <0, 0, >0. */
int version_compare(enum version_order order, struct span a, struct span b);

/*
 * The order that an OSV ecosystem uses, with or without its suffix ("Debian:12"): matched without
 * case. VERSION_ORDER_BYTES for those that have none or that are not known.
 */
enum version_order version_order_of_ecosystem(struct span ecosystem);
/* "semver", "pep440", ...: a stable word. */
const char *version_order_name(enum version_order order);

/*
 * How many leading numbers two versions share (1.2.3 and 1.2.9: 2), for "stay in the same major
 * version": epochs must be equal, or the answer is 0.
 */
unsigned version_shared_numbers(struct span a, struct span b);

#endif
