// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the real programs that the tests compare with. The product never does.
#pragma once

#include <initializer_list>
#include <string>

namespace linkbal::test {

struct Outcome {
    int status = 0;     // exit status
    std::string output; // standard output and standard error
};

Outcome run(std::initializer_list<std::string> command, const std::string& input = {});

// Must succeed. `commands` are a file's contents for `nft -f`.
void nft(const std::string& commands);
std::string nft_list(const std::string& what); // "table inet linkbal"
bool has_nft();

// Interfaces to send over: `lo` up, and each name the end of a veth pair that is up.
void make_network(std::initializer_list<std::string> devices = {});

// A network namespace for each test case; the one before goes away with its last socket. False
// without the privilege for it.
bool enter_namespace();

} // namespace linkbal::test

#define LINKBAL_OWN_NAMESPACE()                                                                    \
    if (!::linkbal::test::enter_namespace()) {                                                     \
        LINKBAL_SKIP("no network namespace of our own: needs root");                               \
    }                                                                                              \
    static_assert(true)
