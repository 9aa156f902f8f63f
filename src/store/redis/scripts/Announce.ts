/**
 * Tells of the end of tasks, if a process waits for them: `results` remembers which ids are awaited. The message is that
 * of the notifier; nothing is sent, and one command spent, while none waits.
 */
export const announce = `
local function announce(ids)
  if #ids == 0 or call("EXISTS", root .. ":awaited") == 0 then return end
  local ended = {}
  for _, id in ipairs(ids) do
    if call("ZREM", root .. ":awaited", id) == 1 then ended[#ended + 1] = id end
  end
  if #ended > 0 then call("PUBLISH", root .. ":hints", cjson.encode({ finished = ended })) end
end
`
