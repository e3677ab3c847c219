// SPDX-License-Identifier: MIT
#pragma once

// The methods of commands and messages. Errors of each are in io.memio.varlink.

#include "method_context.h"

namespace memio::broker {

Result<Answer> receive(Context& context, const protocol::ReceiveParameters& parameters);
Result<Answer> handle_command(Context& context, const protocol::HandleParameters& parameters);
Result<Answer> unhandle_command(Context& context, const protocol::UnhandleParameters& parameters);
Result<Answer> listen_to_topics(Context& context, const protocol::ListenParameters& parameters);
Result<Answer> unlisten_to_topics(Context& context, const protocol::UnlistenParameters& parameters);
Result<Answer> invoke_command(Context& context, const protocol::InvokeParameters& parameters);
Result<Answer> cancel_call(Context& context, const protocol::CancelParameters& parameters);
Result<Answer> answer_command(Context& context, const protocol::AnswerParameters& parameters);
Result<Answer> emit_message(Context& context, const protocol::EmitParameters& parameters);

// Whether a call of this method may come with descriptors.
[[nodiscard]] bool takes_attachments(std::string_view method);
// The id under which a connection that receives wants to hear how a request went, if it does.
[[nodiscard]] std::optional<std::uint64_t> request_id(const Call& call);

}  // namespace memio::broker
