// SPDX-License-Identifier: GPL-2.0-or-later
// How expressions get into a message: private to those that make them.
#pragma once

#include <cstdint>
#include <string>

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_tables.h>

namespace linkbal {

// Has a libnftnl expression written to the message when it goes out of scope.
class Expression {
  public:
    Expression(nlmsghdr* message, const char* name)
        : message_(message), expression_(nftnl_expr_alloc(name)) {}
    Expression(const Expression&) = delete;
    Expression& operator=(const Expression&) = delete;
    ~Expression() {
        nlattr* element = mnl_attr_nest_start(message_, NFTA_LIST_ELEM);
        nftnl_expr_build_payload(message_, expression_);
        mnl_attr_nest_end(message_, element);
        nftnl_expr_free(expression_);
    }
    void set(uint16_t attribute, uint32_t value) {
        nftnl_expr_set_u32(expression_, attribute, value);
    }
    void set(uint16_t attribute, const void* data, uint32_t size) {
        nftnl_expr_set(expression_, attribute, data, size);
    }
    void set(uint16_t attribute, const std::string& text) {
        nftnl_expr_set_str(expression_, attribute, text.c_str());
    }
    void set8(uint16_t attribute, uint8_t value) {
        nftnl_expr_set_u8(expression_, attribute, value);
    }

  private:
    nlmsghdr* message_;
    nftnl_expr* expression_;
};

// An expression without libnftnl: `fill` puts the attributes.
template <typename Fill>
void put_expression(nlmsghdr* message, const char* name, Fill fill) {
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    mnl_attr_put_strz(message, NFTA_EXPR_NAME, name);
    nlattr* data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
    fill();
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, element);
}

} // namespace linkbal
