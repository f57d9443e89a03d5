-- How Argo CD reads the health of every kind of Pointsman. Without it Argo CD counts a custom
-- resource as healthy as soon as it exists. Where to put it: README.md beside this file.
--
-- It says what kstatus, Flux, `helm --wait` and `kubectl wait` make of the same object:
--   Healthy      Ready is True for the generation that Git holds
--   Degraded     Stalled is True: nothing goes on until the object is edited
--   Suspended    spec.paused holds a change back
--   Progressing  everything else; the message says what is being waited for
local health = {}

if obj.metadata.deletionTimestamp ~= nil then
  health.status = "Progressing"
  health.message = "being deleted: requests in flight drain first"
  return health
end

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(condition)
  return condition ~= nil and condition.status == "True"
end

if status.observedGeneration ~= obj.metadata.generation then
  health.status = "Progressing"
  health.message = "the operator has not seen this generation yet"
  return health
end

if holds(conditions.Stalled) then
  health.status = "Degraded"
  health.message = conditions.Stalled.reason .. ": " .. conditions.Stalled.message
  return health
end

local ready = conditions.Ready
if holds(ready) and not holds(conditions.Reconciling) then
  health.status = "Healthy"
elseif ready ~= nil and ready.reason == "Paused" then
  health.status = "Suspended"
else
  health.status = "Progressing"
end

if ready == nil then
  health.message = "nothing is reported yet"
elseif ready.message ~= nil and ready.message ~= "" then
  health.message = ready.reason .. ": " .. ready.message
else
  health.message = ready.reason
end
return health
