# The machines of a pattern, read from its sample inventory. The Vagrantfile and `lab` both ask here.
#
#   ruby machines.rb PATTERN      prints one line per machine: name address group,group
require "yaml"

module Lab
  INVENTORIES = File.expand_path("../inventories/vagrant", __dir__)
  Machine = Struct.new(:name, :address, :groups)

  def self.machines(pattern)
    file = File.join(INVENTORIES, "#{pattern}.yaml")
    unless File.file?(file)
      known = Dir[File.join(INVENTORIES, "*.yaml")].map { |path| File.basename(path, ".yaml") }.sort
      abort "lab: no pattern #{pattern.inspect}; there are: #{known.join(', ')}"
    end
    found = {}
    YAML.safe_load(File.read(file)).each { |name, group| collect(name, group, found) }
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
end

if $PROGRAM_NAME == __FILE__
  abort "usage: ruby machines.rb PATTERN" unless ARGV.length == 1
  Lab.machines(ARGV[0]).each { |machine| puts [machine.name, machine.address, machine.groups.join(",")].join(" ") }
end
