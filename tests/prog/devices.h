// SPDX-License-Identifier: GPL-2.0-or-later
// Devices in a test's own network namespace, without an address and without IPv6: nothing is sent
// but what the test sends.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "packets.h"
#include "util/fd.h"

namespace linkbal::test {

// Runs a command; the test fails if it does.
void command(const std::string& line);
// What a command prints.
std::string output_of(const std::string& line);

// Makes it forget all of them.
void flush_conntrack();

// Asks until it is so, for two seconds at most.
template <typename Predicate>
bool eventually(Predicate predicate) {
    for (int i = 0; i < 200; ++i) {
        if (predicate()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

// Two ends, up.
void make_veth(const std::string& name, const std::string& peer);

// Sends frames out of a device, whatever they look like.
class FrameSender {
  public:
    explicit FrameSender(const std::string& device);
    void send(const Bytes& frame);
    // A frame of more than a page, of which only the Ethernet header is in the linear part.
    void send_scattered(const Bytes& frame);

  private:
    Fd socket_;
};

// A tun device: packets without Ethernet header, "received" by the kernel when written here.
class Tun {
  public:
    explicit Tun(const std::string& name);
    void receive(const Bytes& packet);

  private:
    Fd file_;
};

} // namespace linkbal::test
