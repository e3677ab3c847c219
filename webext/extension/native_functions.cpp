// SPDX-License-Identifier: MIT
#include "native_functions.h"

#include <array>
#include <exception>

#include "document_session.h"
#include "memio/region_format.h"

namespace memio::webext {

namespace {

using Member = JsValue (DocumentSession::*)(JSCContext*, const Arguments&);

struct Bound {
  std::shared_ptr<DocumentSession> session;
  Member member;
};

JSCValue* call(GPtrArray* values, gpointer data) noexcept {
  JSCContext* context = jsc_context_get_current();
  JsValue result;
  try {
    const auto& bound = *static_cast<Bound*>(data);
    const auto session = bound.session;
    result = ((*session).*bound.member)(context, Arguments(values));
  } catch (const std::exception& error) {
    result = to_js(context, Error{Errc::out_of_resources, 0, error.what()});
  }
  return result ? result.release() : jsc_value_new_undefined(context);
}

void add(JSCContext* context, JSCValue* object, const char* name, const std::shared_ptr<DocumentSession>& session,
         Member member) {
  const JsValue function(jsc_value_new_function_variadic(
      context, name, G_CALLBACK(call), new Bound{session, member},
      [](gpointer data) { delete static_cast<Bound*>(data); }, JSC_TYPE_VALUE));
  jsc_value_object_set_property(object, name, function.get());
}

}  // namespace

JsValue make_native(JSCContext* context, const std::shared_ptr<DocumentSession>& session,
                    const DocumentOptions& options) {
  struct Function {
    const char* name;
    Member member;
  };
  constexpr std::array functions = {
      Function{"open", &DocumentSession::open},
      Function{"create", &DocumentSession::create},
      Function{"list", &DocumentSession::list},
      Function{"stat", &DocumentSession::stat},
      Function{"remove", &DocumentSession::remove},
      Function{"watch", &DocumentSession::watch},
      Function{"unwatch", &DocumentSession::unwatch},
      Function{"alias", &DocumentSession::alias},
      Function{"share", &DocumentSession::share_memory},
      Function{"mapInto", &DocumentSession::map_into},
      Function{"unmap", &DocumentSession::unmap},
      Function{"window", &DocumentSession::window},
      Function{"mend", &DocumentSession::mend},
      Function{"begin", &DocumentSession::begin},
      Function{"commit", &DocumentSession::commit},
      Function{"abort", &DocumentSession::abort},
      Function{"subscribe", &DocumentSession::subscribe},
      Function{"wake", &DocumentSession::wake},
      Function{"close", &DocumentSession::close},
      Function{"layStream", &DocumentSession::lay_stream},
      Function{"joinStream", &DocumentSession::join_stream},
      Function{"ringOther", &DocumentSession::ring_other},
      Function{"otherLives", &DocumentSession::other_lives},
      Function{"call", &DocumentSession::call},
      Function{"cancelCall", &DocumentSession::cancel_call},
      Function{"handle", &DocumentSession::handle},
      Function{"unhandle", &DocumentSession::unhandle},
      Function{"answer", &DocumentSession::answer_call},
      Function{"reject", &DocumentSession::reject_call},
      Function{"emit", &DocumentSession::emit},
      Function{"listen", &DocumentSession::listen},
      Function{"unlisten", &DocumentSession::unlisten},
      Function{"taken", &DocumentSession::taken},
      Function{"refusePost", &DocumentSession::refuse_post},
      Function{"postWebMessage", &DocumentSession::post_web_message},
      Function{"suspend", &DocumentSession::leave},
      Function{"resume", &DocumentSession::come_back},
  };
  JsValue object(jsc_value_new_object(context, nullptr, nullptr));
  for (const auto& function : functions) add(context, object.get(), function.name, session, function.member);
  const JsValue size(jsc_value_new_number(context, static_cast<double>(page_size())));
  jsc_value_object_set_property(object.get(), "pageSize", size.get());
  const JsValue given = to_js(context, Json{{"compatibility", options.compatibility}, {"workers", options.workers}});
  jsc_value_object_set_property(object.get(), "options", given.get());
  return object;
}

}  // namespace memio::webext
