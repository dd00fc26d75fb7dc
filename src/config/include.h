/* include.h - putting included files together with the one that names them. */
#ifndef CONFIG_INCLUDE_H
#define CONFIG_INCLUDE_H

#include "config/reader.h"

/*
 * Reads the files that the key `include` of the mapping `root` names (a file, a folder, of which all
 * *.yaml and *.yml are meant, or a pattern for the names of files in one folder; these in the order
 * of their names), and adds their keys to it:
 * lists are put one after the other, and so are the services; any other key may be in one file
 * only. What is wrong goes to reader->problems.
 */
void include_files(struct reader *reader, struct tree_node *root);
/* Puts the lists that `endpoints_file` of services names in the place of `endpoints`. */
void include_endpoints(struct reader *reader, const struct tree_node *root);

#endif
