// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop: one thread, one io_context, and everything else on top of it.
#pragma once

// Boost 1.74 takes clang, which is clang-tidy here, for a compiler without C++20's coroutines.
#if defined(__clang__) && defined(__cpp_impl_coroutine) && !defined(BOOST_ASIO_HAS_CO_AWAIT)
#define BOOST_ASIO_HAS_CO_AWAIT 1
#endif

// Boost 1.74 uses std::exchange without including it.
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

namespace linkbal {

namespace asio = boost::asio;
using boost::system::error_code;

} // namespace linkbal
