// SPDX-License-Identifier: GPL-2.0-or-later
// TCP by sockets of the namespace that the calling thread is in. What fails fails the test.
#pragma once

#include <cstdint>
#include <string>

#include "util/fd.h"

namespace linkbal::test {

Fd bound(const std::string& address, uint16_t port); // port 0: any
Fd listener(const std::string& address, uint16_t port);

struct Ends {
    Fd client;
    Fd server;
};
Ends connect(Fd client, const std::string& address, uint16_t port, const Fd& listening);

// Waits for the event (POLLERR ...) while there is hope.
bool becomes(const Fd& socket, short event);
int error_of(const Fd& socket); // 0: nothing wrong

// All of the text arrives at the other end.
void pass(const Fd& from, const Fd& to, const std::string& text);

// Closes without a word to the other end.
void vanish(Fd socket);

} // namespace linkbal::test
