create table users (idnumber text primary key, name text not null, email text not null);
create table group_members (group_name text not null, idnumber text not null, primary key (group_name, idnumber));
insert into users values
    ('11111', 'New Name', 'old.name@example.org'),
    ('33333', 'Ann Ames', 'ann.ames@example.org'),
    ('44444', 'Bob Bell', 'bob.bell@example.org'),
    ('55555', 'Cid Cole', 'cid@example.org'),
    ('66666', 'Dora Day', 'dora.day@example.org');
insert into group_members values
    ('students', '11111'), ('students', '55555'), ('staff', '33333'), ('staff', '55555'), ('alumni', '66666');
