// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts of a test network: a thread visits them to make their sockets and devices. A namespace
// lives as long as something of it is open.
#pragma once

#include <string>

#include "util/fd.h"

namespace linkbal::test {

class NetworkNamespace {
  public:
    static NetworkNamespace current();
    static NetworkNamespace make(); // the calling thread stays where it is

    // As ip(8) takes it behind "netns".
    [[nodiscard]] std::string path() const;
    void enter() const;

  private:
    explicit NetworkNamespace(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

// In `there` until it goes out of scope.
class Visit {
  public:
    explicit Visit(const NetworkNamespace& there) : home_(NetworkNamespace::current()) {
        there.enter();
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() { home_.enter(); }

  private:
    NetworkNamespace home_;
};

} // namespace linkbal::test
