# The machines of a pattern, read from its sample inventory, and those that stand by, read from the one of the same name in
# spare/: they are in the group `spare` alone, whatever they would become. The Vagrantfile and `lab` both ask here.
#
#   ruby machines.rb PATTERN            prints one line per machine: name address group,group
#   ruby machines.rb --roles PATTERN    prints one line per machine: name role
require "yaml"

module Lab
  INVENTORIES = File.expand_path("../inventories/vagrant", __dir__)
  # The groups that write into the database what everybody else reads there.
  API_LAYER = %w[apim gateway traffic_manager database].freeze
  Machine = Struct.new(:name, :address, :groups)

  def self.machines(pattern)
    file = File.join(INVENTORIES, "#{pattern}.yaml")
    unless File.file?(file)
      known = Dir[File.join(INVENTORIES, "*.yaml")].map { |path| File.basename(path, ".yaml") }.sort
      abort "lab: no pattern #{pattern.inspect}; there are: #{known.join(', ')}"
    end
    found = {}
    YAML.safe_load(File.read(file)).each { |name, group| collect(name, group, found) }
    spare = {}
    standing_by = File.join(INVENTORIES, "spare", "#{pattern}.yaml")
    YAML.safe_load(File.read(standing_by)).each { |name, group| collect(name, group, spare) } if File.file?(standing_by)
    spare.each { |name, machine| found[name] ||= Machine.new(name, machine.address, ["spare"]) }
    found.each_value do |machine|
      abort "lab: #{file}: #{machine.name} has no ansible_host" if machine.address.nil?
    end
    found.values
  end

  # Walks a group and its children; a host's address may stand at any of its mentions.
  def self.collect(group_name, group, found)
    return if group.nil?

    (group["hosts"] || {}).each do |name, vars|
      machine = (found[name] ||= Machine.new(name, nil, []))
      machine.address ||= (vars || {})["ansible_host"]
      machine.groups |= [group_name]
    end
    (group["children"] || {}).each { |name, child| collect(name, child, found) }
  end

  # What a machine is, as far as what was deployed on it goes. Two patterns may share a machine when it has one role in
  # both: the same place, and the same API Manager nodes and database around it, whose data the others refer to.
  def self.role(machine, all)
    layer = all.select { |other| (other.groups & API_LAYER).any? }.map { |other| [other.name, other.groups] }
    [machine.address, *machine.groups, "beside", *layer].flatten.join(" ")
  end
end

if $PROGRAM_NAME == __FILE__
  roles = ARGV.delete("--roles")
  abort "usage: ruby machines.rb [--roles] PATTERN" unless ARGV.length == 1
  all = Lab.machines(ARGV[0])
  all.each do |machine|
    puts [machine.name, roles ? Lab.role(machine, all) : [machine.address, machine.groups.join(",")]].join(" ")
  end
end
