// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "daemon/asio.h"

#include <functional>
#include <memory>

#include "kernel/event_socket.h"

namespace linkbal {

// Calls somebody whenever a socket has events. Nobody is called once this is gone.
class EventListener {
  public:
    // From the event loop, with the socket to drain; may destroy the listener.
    using Handler = std::function<void(EventSocket&)>;

    EventListener(asio::io_context& context, EventSocket socket, Handler handle);
    EventListener(EventListener&&) noexcept = default;
    EventListener& operator=(EventListener&&) = delete;
    EventListener(const EventListener&) = delete;
    EventListener& operator=(const EventListener&) = delete;
    ~EventListener();

  private:
    struct Source;
    static void wait(const std::shared_ptr<Source>& source);
    std::shared_ptr<Source> source_; // none: moved from
};

} // namespace linkbal
