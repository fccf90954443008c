// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/event_listener.h"

#include <utility>

namespace linkbal {

struct EventListener::Source {
    Source(asio::io_context& context, EventSocket opened, Handler handler)
        : socket(std::move(opened)), readable(context, socket.fd()), handle(std::move(handler)) {}
    ~Source() { readable.release(); } // the socket closes the descriptor
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    EventSocket socket;
    asio::posix::stream_descriptor readable;
    Handler handle;
    bool abandoned = false;
};

EventListener::EventListener(asio::io_context& context, EventSocket socket, Handler handle)
    : source_(std::make_shared<Source>(context, std::move(socket), std::move(handle))) {
    wait(source_);
}

EventListener::~EventListener() {
    if (source_) {
        source_->abandoned = true;
        error_code ignored;
        (void)source_->readable.cancel(ignored);
    }
}

void EventListener::wait(const std::shared_ptr<Source>& source) {
    source->readable.async_wait(asio::posix::stream_descriptor::wait_read,
                                [source](const error_code& error) {
                                    if (error || source->abandoned) {
                                        return;
                                    }
                                    source->handle(source->socket);
                                    if (!source->abandoned) {
                                        wait(source);
                                    }
                                });
}

} // namespace linkbal
