/**
 * How many tasks run with each pass, counted in the scripts that start and end them.
 *
 * Redis looks through a hash of few short fields from the first one on, and as few tasks run as there are slots. So `held` has one more
 * field, a long one, which makes it a table: it comes with the first pass and goes with the last.
 */
export const held = `
-- how many tasks run with each pass. Made where a gate is met, like others: a script pays for each function that it has
local gated, madeRuns
local function runs()
  if madeRuns then return madeRuns end
  -- the numbers by pass, what is to be added to those that were not read, passes whose numbers have changed, those of ended tasks, and
  -- what is to be written, of which the last counts where a pass comes several times
  local self, held, amounts, counted, freed, come = {}, {}, {}, {}, {}, {}
  madeRuns = self
  -- whether no task runs with any pass, where that was looked up
  local isNone
  local longField = string.rep("-", 65)

  -- whether a task runs with any pass, or was entered: if none runs, none is asked for
  function self.hasAny()
    if isNone == nil then isNone = call("EXISTS", root .. ":held") == 0 end
    return not isNone or next(held) ~= nil or next(amounts) ~= nil
  end

  local function read(passes) return isNone and {} or hmget(root .. ":held", passes) end

  local function note(passes, texts, first)
    for index = first, #passes do
      local pass, text = passes[index], texts[index]
      if held[pass] == nil then held[pass] = text and tonumber(text) or 0 end
    end
  end

  -- reads the numbers of these passes, of which some may come twice
  function self.load(passes) note(passes, read(passes), 1) end

  function self.of(pass)
    if held[pass] == nil then self.load({ pass }) end
    return held[pass] + (amounts[pass] or 0)
  end

  function self.add(pass, amount) amounts[pass] = (amounts[pass] or 0) + amount end

  -- counts one more task that runs with a pass whose number was read, if fewer do than may
  function self.enter(pass, max)
    local number = held[pass]
    if number + (amounts[pass] or 0) >= max then return false end
    held[pass], counted[#counted + 1] = number + 1, pass
    return true
  end

  -- reads the numbers of these passes and enters the first ones, up to so many, as long as fewer tasks run than may; answers how many
  function self.enterAll(passes, most, max)
    local texts, at, entered = read(passes), #come, 0
    if next(amounts) then most = 0 end
    for index = 1, math.min(#passes, most) do
      local pass = passes[index]
      local number = held[pass]
      if number == nil then
        local text = texts[index]
        number = text and tonumber(text) or 0
      end
      if number >= max then break end
      held[pass], entered = number + 1, index
      come[at + 1], come[at + 2] = pass, number == 0 and "1" or int(number + 1)
      at = at + 2
    end
    if entered < #passes then note(passes, texts, entered + 1) end
    return entered
  end

  -- enters passes where there are none: how many tasks run with each, and the same as it is written, each pass before its number
  function self.enterNew(amountOf, numbers) held, come = amountOf, numbers end

  -- to be called once, with the passes of tasks that run no more and have one each
  function self.leave(passes)
    freed = passes
    local texts, isLastOfEach = hmget(root .. ":held", passes), true
    for index = 1, #passes do
      if texts[index] ~= "1" then
        isLastOfEach = false
        break
      end
    end
    if isLastOfEach then return each("HDEL", root .. ":held", passes) end
    local last = {}
    for index = 1, #passes do
      local pass, text = passes[index], texts[index]
      local number = held[pass]
      if number == nil and text == "1" then
        last[#last + 1] = pass
      else
        held[pass], counted[#counted + 1] = (number or text and tonumber(text) or 0) - 1, pass
      end
    end
    each("HDEL", root .. ":held", last)
  end

  -- each pass once, though it may come several times
  local function write(passes, gone)
    for index = 1, #passes do
      local pass = passes[index]
      local number = held[pass]
      held[pass] = nil
      if number and number > 0 then
        local at = #come
        come[at + 1], come[at + 2] = pass, number == 1 and "1" or int(number)
      elseif number then
        gone[#gone + 1] = pass
      end
    end
  end

  -- to be called after all, and before gated().conclude
  function self.conclude()
    local gone, ended = {}, { freed }
    if next(amounts) then
      local added, less = {}, {}
      for pass in pairs(amounts) do added[#added + 1] = pass end
      self.load(added)
      for pass, amount in pairs(amounts) do
        held[pass] = held[pass] + amount
        if amount < 0 then less[#less + 1] = pass end
      end
      write(added, gone)
      ended[2] = less
    end
    write(counted, gone)
    if come[1] then
      local at = #come
      come[at + 1], come[at + 2] = longField, "0"
      each("HSET", root .. ":held", come)
    end
    each("HDEL", root .. ":held", gone)
    if (gone[1] or freed[1]) and call("HLEN", root .. ":held") == 1 then call("HDEL", root .. ":held", longField) end
    amounts, counted, freed, come, isNone = {}, {}, {}, {}, nil
    for _, passes in ipairs(ended) do
      if passes[1] and call("EXISTS", root .. ":groups") == 1 then
        for _, pass in ipairs(passes) do gated().open(pass) end
      end
    end
  end

  return self
end
`
