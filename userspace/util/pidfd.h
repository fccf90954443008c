// SPDX-License-Identifier: GPL-2.0-or-later
// <sys/pidfd.h>, which in glibc before 2.37 does not say that it is C.
#pragma once

#include <csignal>

#include <fcntl.h>

extern "C" {
#include <sys/pidfd.h>
}
