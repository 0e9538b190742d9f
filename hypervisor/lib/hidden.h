/* SPDX-License-Identifier: MIT */
/* Included before everything else: no symbol is ever found through a GOT, declarations of other files' symbols included. */
#ifndef LIB_HIDDEN_H
#define LIB_HIDDEN_H
#pragma GCC visibility push(hidden)
#endif
