-- Writes down each message that the server takes from an account, before it is acknowledged; refuses one where the file "fault" says so.
local st = require "util.stanza";
local folder = module:get_option_string("witness_folder");

local errors = {
	refuse = { "cancel", "item-not-found" };
	blocked = { "auth", "forbidden" };
	limit = { "wait", "resource-constraint", "Traffic rate limit is exceeded; try again in 30 seconds" };
	server_error = { "wait", "internal-server-error" };
};

local function fault(id)
	local name = folder .. "/fault-" .. id;
	local file = io.open(name);
	if not file then return nil; end
	local what = file:read("*l");
	file:close();
	os.remove(name);
	return errors[what];
end

local function seen(event)
	local stanza, origin = event.stanza, event.origin;
	if stanza.attr.type == "error" or not stanza:get_child("body") then return; end
	local user = origin.username or "";
	local why = fault(user);
	if why then
		origin.send(st.error_reply(stanza, why[1], why[2], why[3]));
		return true;
	end
	local file = io.open(folder .. "/seen-" .. user, "a");
	file:write((tostring(stanza):gsub("\n", "&#10;")), "\n");
	file:close();
end

for _, name in ipairs { "pre-message/bare", "pre-message/full", "pre-message/host" } do
	module:hook(name, seen, 1000);
end
