-- Run by Ardour's Lua interpreter: does what `cargo xtask hosts` writes to its standard input, a
-- line of Lua at a time, and answers each line with one that begins with "@ok" or "@error".

io.stdout:setvbuf("line")

local UI = ARDOUR.TransportRequestSource.TRS_UI

local function attach()
  AudioEngine:set_backend("JACK", "ardour", "")
end

local function midi_track(name, plugin, outputs)
  local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
  session:new_midi_track(midi, outputs or midi, true, plugin or ARDOUR.PluginInfo(), nil, nil, 1,
    name, ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
  assert(not session:route_by_name(name):isnil(), "no track " .. name)
end

local function plugin_info(name)
  local info = ARDOUR.LuaAPI.new_plugin_info(name, ARDOUR.PluginType.VST3)
  assert(not info:isnil(), "Ardour knows no VST3 plug-in named " .. name)
  return info
end

local function processor(track, name)
  local route = session:route_by_name(track)
  local index = 0
  repeat
    local found = route:nth_processor(index)
    if not found:isnil() and found:name() == name then return found end
    index = index + 1
  until found:isnil()
  error("no plug-in " .. name .. " on the track " .. track)
end

-- A session with Interlude on the track "Gen" and an empty track "Grid".
function create(folder)
  attach()
  session = assert(create_session(folder, "song", 48000), "the session cannot be created")
  midi_track("Grid")
  midi_track("Gen", plugin_info("Interlude"),
    ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2))
  interlude = processor("Gen", "Interlude")
  return save()
end

-- Puts the plug-in that makes notes audible behind Interlude, and both into the master.
function listen()
  local route = session:route_by_name("Gen")
  local ear = ARDOUR.LuaAPI.new_plugin(session, "Ear", ARDOUR.PluginType.VST3, "")
  assert(not ear:isnil(), "Ardour knows no VST3 plug-in named Ear")
  assert(route:add_processor_by_index(ear, 1, nil, true) == 0, "Ear does not fit behind Interlude")
  local outputs = route:output()
  for index = 0, outputs:n_ports():n_total() - 1 do
    local port = outputs:nth(index)
    local side = port:name():match("audio_out (%d)$")
    if side then port:connect("Master/audio_in " .. side) end
  end
end

function open(folder)
  attach()
  session = assert(load_session(folder, "song"), "the session cannot be opened")
  interlude = processor("Gen", "Interlude")
end

function save()
  assert(session:save_state("") == 0, "the session cannot be saved")
end

local function index_of(name)
  local plugin = interlude:to_insert():plugin(0)
  for index = 0, plugin:parameter_count() - 1 do
    if plugin:parameter_label(index) == name then return index end
  end
  error("no parameter " .. name)
end

function set(name, value)
  assert(ARDOUR.LuaAPI.set_processor_param(interlude, index_of(name), value), name)
end

function get(name)
  return (ARDOUR.LuaAPI.get_processor_param(interlude, index_of(name)))
end

function locate(sample, roll)
  local after = ARDOUR.LocateTransportDisposition
  session:request_locate(sample, false, roll and after.MustRoll or after.MustStop, UI)
end

function roll() session:request_roll(UI) end

function stop() session:request_stop(false, false, UI) end

function loop(on) session:request_play_loop(on, on) end

function position() return session:transport_sample() end

function rolling() return session:transport_rolling() end

print("@ok ready")
for line in io.lines() do
  local run, message = load(line)
  local fine, value = false, message
  if run then fine, value = pcall(run) end
  print((fine and "@ok " or "@error ") .. tostring(value))
end
